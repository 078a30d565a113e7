"""Judge a trained policy beside all baselines."""

from makerlab.cli import run_command
from makerlab.commands import evaluate_command

if __name__ == "__main__":
    run_command(evaluate_command)
