"""Tune the hyperparameters of one config."""

from makerlab.cli import run_command
from makerlab.stage_commands import tune_command

if __name__ == "__main__":
    run_command(tune_command)
