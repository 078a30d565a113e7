"""Show what is done, running, failed and pending."""

from makerlab.cli import run_command
from makerlab.matrix.command import status_command

if __name__ == "__main__":
    run_command(status_command)
