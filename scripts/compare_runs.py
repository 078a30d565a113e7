"""Compare two runs, or two configs over all their seeds: what differs, which earned more."""

from makerlab.cli import run_command
from makerlab.commands import compare_runs_command

if __name__ == "__main__":
    run_command(compare_runs_command)
