"""Jobs as tasks on a Ray cluster, with slots for CPUs and shares of GPUs.

Ray gives a task another worker when its own or its node dies; the stage then continues from its
last checkpoint. Tasks end with the matrix that submitted them.
"""

import os
import signal
from pathlib import Path
from typing import Any

from makerlab.errors import UserError
from makerlab.launchers.base import Job, Outcome, keep_errors, logs_of
from makerlab.launchers.local import LocalLauncher
from makerlab.launchers.ray_task import run_command
from makerlab.launchers.settings import RaySettings

# Ray's own, and what belongs to the machine of the matrix rather than to its jobs.
_NOT_CARRIED = ("RAY_", "SSH_", "XDG_", "DBUS_", "HOSTNAME", "TMPDIR", "CUDA_VISIBLE_DEVICES")


class RayLauncher:
    """Submits jobs to a cluster that runs; what shows its output to the user runs here."""

    def __init__(self, settings: RaySettings, *, error_log: Path) -> None:
        self._ray = import_ray()
        self._error_log = error_log
        self._here = LocalLauncher(error_log=error_log)
        self._tasks: dict[str, tuple[Job, Any]] = {}
        self._killed: set[str] = set()
        self._count = 0
        self._joined = not self._ray.is_initialized()
        if self._joined:
            _join(self._ray, settings.address)
        options = {
            "num_cpus": settings.cpus,
            "num_gpus": settings.gpus,
            "max_retries": settings.retries,
        }
        if settings.memory_gb is not None:
            options["memory"] = round(settings.memory_gb * 1e9)
        self._run: Any = self._ray.remote(**options)(run_command)

    def submit(self, job: Job) -> str:
        """Hand a job to the cluster."""
        if job.show_output:
            return self._here.submit(job)
        self._count += 1
        handle = f"task {self._count}"
        task = self._run.options(name=job.name).remote(job.command, str(Path.cwd()), _carried())
        self._tasks[handle] = (job, task)
        return handle

    def poll(self, handle: str) -> Outcome | None:
        """Return how a job ended, None while it waits or runs."""
        if handle not in self._tasks:
            return self._here.poll(handle)
        job, task = self._tasks[handle]
        ready, _ = self._ray.wait([task], timeout=0)
        if not ready:
            return None
        del self._tasks[handle]
        try:
            status, text = self._ray.get(task)
        except (self._ray.exceptions.RayError, KeyboardInterrupt) as error:
            status, text = _explain(self._ray, error)
            status = -signal.SIGKILL if handle in self._killed else status
        return keep_errors(job, status, text, self._error_log)

    def waits(self, handle: str) -> bool:
        """Nothing is known: Ray tells a driver of its tasks' ends alone."""
        return False

    def cancel(self, handle: str, *, kill: bool = False) -> None:
        """Let a job save its state, or kill its worker and its command; it is not begun anew."""
        if handle not in self._tasks:
            self._here.cancel(handle, kill=kill)
            return
        if kill:
            self._killed.add(handle)
        self._ray.cancel(self._tasks[handle][1], force=kill)

    def logs(self, handle: str) -> tuple[Path, ...]:
        """Return the job's own log; Ray's dashboard has the rest."""
        if handle not in self._tasks:
            return self._here.logs(handle)
        return logs_of(self._tasks[handle][0])

    def close(self) -> None:
        """Leave the cluster, which stays."""
        if self._joined:
            self._ray.shutdown()


def import_ray() -> Any:
    """Return Ray; raises UserError when it is not installed."""
    # Usage statistics would leave the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError(
            "LAUNCHER=ray needs the package ray: pip install -c constraints.txt -e '.[ray]'"
        ) from None
    return ray


def _join(ray: Any, address: str | None) -> None:
    try:
        ray.init(address=address or "auto", log_to_driver=False, logging_level="ERROR")
    except ConnectionError:
        where = f"at {address}" if address else "here"
        raise UserError(
            f"no Ray cluster {where}; start one with ray start --head, or give its address in "
            "configs/launchers/"
        ) from None


def _carried() -> dict[str, str]:
    """Return the part of this environment that jobs are to find on other nodes."""
    return {key: text for key, text in os.environ.items() if not key.startswith(_NOT_CARRIED)}


def _explain(ray: Any, error: BaseException) -> tuple[int, str]:
    """Return the status of a job that ended without one, and why."""
    if isinstance(error, ray.exceptions.TaskCancelledError | KeyboardInterrupt):
        return -signal.SIGTERM, ""
    reason = " ".join(str(error).split())
    return -signal.SIGKILL, f"{type(error).__name__}: {reason[:300]}"
