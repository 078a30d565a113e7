"""Export finished runs to an MLflow database."""

from makerlab.cli import run_command
from makerlab.commands import export_mlflow_command

if __name__ == "__main__":
    run_command(export_mlflow_command)
