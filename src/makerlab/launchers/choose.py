"""From settings to the launcher that follows them."""

from dataclasses import dataclass
from pathlib import Path

from makerlab.launchers.base import Launcher
from makerlab.launchers.settings import (
    DebugSettings,
    LauncherSettings,
    LocalSettings,
    RaySettings,
)
from makerlab.runs.progress import Report


@dataclass(frozen=True)
class Place:
    """What launchers need to know of a matrix.

    `jobs` is how many processes of this machine may work at once, `warm_up` the script that gets a
    process ready for forks of it, None where jobs must not be forks; `keep_open` are open files
    that the processes inherit; `report` tells the user what takes time before the first job.
    """

    runs_dir: Path
    error_log: Path
    warm_up: Path | None = None
    keep_open: tuple[int, ...] = ()
    debugger: bool = False
    report: Report = lambda line: None


def places(settings: LauncherSettings, jobs: int) -> int:
    """Return how many jobs may be submitted at once; `jobs` counts for this machine alone."""
    if isinstance(settings, LocalSettings):
        return jobs
    return 1 if isinstance(settings, DebugSettings) else settings.maximum_jobs


def make_launcher(settings: LauncherSettings, place: Place) -> Launcher:
    """Return a launcher; raises UserError when what it needs is not installed or not running.

    What belongs to other launchers is not imported.
    """
    if isinstance(settings, LocalSettings):
        return _local(place)
    if isinstance(settings, DebugSettings):
        from makerlab.launchers.debug import DebugLauncher

        return DebugLauncher(error_log=place.error_log, debugger=place.debugger)
    if isinstance(settings, RaySettings):
        from makerlab.launchers.on_ray import RayLauncher

        return RayLauncher(settings, error_log=place.error_log)
    from makerlab.launchers.slurm import SlurmLauncher

    return SlurmLauncher(settings, runs_dir=place.runs_dir, error_log=place.error_log)


def _local(place: Place) -> Launcher:
    from makerlab.launchers.forking import ForkingLauncher, can_fork
    from makerlab.launchers.local import LocalLauncher

    if place.warm_up is None or not can_fork():
        return LocalLauncher(error_log=place.error_log, keep_open=place.keep_open)
    return ForkingLauncher(
        error_log=place.error_log,
        warm_up=place.warm_up,
        keep_open=place.keep_open,
        report=place.report,
    )
