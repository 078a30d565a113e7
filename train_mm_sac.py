"""Train one run of a config, or continue one."""

from makerlab.cli import run_command
from makerlab.stage_commands import train_command

if __name__ == "__main__":
    run_command(train_command)
