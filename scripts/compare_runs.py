"""Compare two runs: what differs, metrics side by side, curves in one picture."""

from makerlab.cli import run_command
from makerlab.commands import compare_runs_command

if __name__ == "__main__":
    run_command(compare_runs_command)
