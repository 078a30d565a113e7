"""Start optuna-dashboard on the studies and TensorBoard on the runs."""

from makerlab.cli import run_command
from makerlab.commands import dashboards_command

if __name__ == "__main__":
    run_command(dashboards_command)
