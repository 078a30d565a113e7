"""Show the log of a run or a config, and follow it."""

from makerlab.cli import run_command
from makerlab.commands import follow_log_command

if __name__ == "__main__":
    run_command(follow_log_command)
