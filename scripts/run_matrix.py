"""Tune, train, evaluate and compare every config of a target list."""

from pathlib import Path

from makerlab.cli import run_command
from makerlab.matrix.command import matrix_command

if __name__ == "__main__":
    run_command(lambda: matrix_command(root=Path(__file__).parents[1]))
