"""Compile all that stages need, before they need it."""

from makerlab.cli import run_command
from makerlab.commands import warm_up_command

if __name__ == "__main__":
    run_command(warm_up_command)
