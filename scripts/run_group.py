"""Train several runs, or tune several studies, in one process."""

from makerlab.cli import run_command
from makerlab.group_command import group_command

if __name__ == "__main__":
    run_command(group_command)
