"""What a launcher would do, as exact commands and batch scripts; nothing is started or written."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from makerlab.launchers.base import Job
from makerlab.launchers.settings import (
    DebugSettings,
    LauncherSettings,
    LocalSettings,
    RaySettings,
    SlurmSettings,
)
from makerlab.runs.directory import BatchDirectory, batches_directory


def preview(
    settings: LauncherSettings, jobs: list[Job], *, runs_dir: Path, places: int
) -> Iterator[str]:
    """Yield lines that say how jobs of one stage would be run."""
    yield f"# {_how(settings, len(jobs), places)}"
    if isinstance(settings, SlurmSettings):
        # The name is made up when the batch is submitted.
        name = f"makerlab_{jobs[0].stage}_XXXXXXXX"
        batch = BatchDirectory(batches_directory(runs_dir).resolve() / name)
        from makerlab.launchers.slurm_batch import batch_script

        yield from batch_script(settings, batch, jobs=len(jobs)).splitlines()
        yield "# its tasks"
    for job in jobs:
        yield f"# {job.name}"
        yield shlex.join(job.command)


def _how(settings: LauncherSettings, jobs: int, places: int) -> str:
    if isinstance(settings, LocalSettings):
        return f"processes of this machine, at most {places} at once"
    if isinstance(settings, DebugSettings):
        return "in the process of the matrix, one after another"
    if isinstance(settings, RaySettings):
        slots = f"num_cpus={settings.cpus:g}, num_gpus={settings.gpus:g}"
        return f"Ray tasks, {slots}, max_retries={settings.retries}, at most {places} at once"
    return f"one batch of {jobs}, at most {places} in the queue; what is ready at a time is one"
