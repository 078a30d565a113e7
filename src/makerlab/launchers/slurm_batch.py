"""Batches of jobs for Slurm: what they are made of, and their submission through submitit."""

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from makerlab.errors import UserError
from makerlab.files import write_json
from makerlab.launchers.base import Job
from makerlab.launchers.settings import SlurmSettings
from makerlab.launchers.slurm_queue import PREFIX, Unreachable
from makerlab.runs.directory import BatchDirectory, batches_directory

# What passes by itself; everything else that sbatch says is for the user to mend.
_PASSES = re.compile(
    r"unable to contact|timed out|connection|temporarily|try again|not responding|communication",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Task:
    """A job in a batch, by its place there."""

    batch: BatchDirectory
    index: int
    name: str
    key: str
    log: Path | None

    @property
    def place(self) -> tuple[str, int]:
        """What the queue knows it by."""
        return self.batch.name, self.index


def write_batch(jobs: list[Job], *, runs_dir: Path, token: str) -> list[Task]:
    """Name a batch and note what it is made of, before any of it is submitted.

    So a matrix that finds the batch in the queue knows its jobs, whenever the one before it died.
    """
    name = f"{PREFIX}_{jobs[0].stage or 'job'}_{token}"
    batch = BatchDirectory(batches_directory(runs_dir).resolve() / name)
    records = [
        {
            "name": job.name,
            "key": job.key,
            "command": list(job.command),
            "log": None if job.log is None else str(job.log),
        }
        for job in jobs
    ]
    write_json(batch.tasks, {"tasks": records})
    return read_batch(batch)


def read_batch(batch: BatchDirectory) -> list[Task]:
    """Return the tasks of a batch, none when its note is missing or damaged."""
    try:
        records = json.loads(batch.tasks.read_bytes())["tasks"]
        return [
            Task(batch, index, record["name"], record["key"], _path(record["log"]))
            for index, record in enumerate(records)
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def read_batches(runs_dir: Path) -> Iterator[Task]:
    """Yield the tasks of all batches of a runs directory."""
    for path in sorted(batches_directory(runs_dir).resolve().glob(f"{PREFIX}_*")):
        yield from read_batch(BatchDirectory(path))


def submit_batch(settings: SlurmSettings, tasks: list[Task], jobs: list[Job]) -> None:
    """Hand a batch to Slurm as one job array.

    Raises Unreachable when Slurm can't take it now, UserError when it refuses it.
    """
    submitit = import_submitit()
    from makerlab.launchers.slurm_task import StageTask

    batch = tasks[0].batch
    said = io.StringIO()
    try:
        # submitit prints what sbatch says before it raises.
        with contextlib.redirect_stderr(said):
            executor = submitit.SlurmExecutor(
                batch.path, max_num_timeout=settings.requeues, python=_python(settings)
            )
            executor.update_parameters(**parameters(settings, batch.name))
            executor.map_array(
                StageTask(),
                [job.command for job in jobs],
                [str(batch.outcome(task.index)) for task in tasks],
                [str(batch.errors(task.index)) for task in tasks],
            )
    except RuntimeError as error:
        _explain(" ".join(str(error).split()))
    except OSError as error:
        raise UserError(f"sbatch can't be started ({error.strerror or error})") from None


def _explain(problem: str) -> NoReturn:
    if _PASSES.search(problem):
        raise Unreachable(problem)
    problem = problem.removeprefix("sbatch: error: ")
    raise UserError(f"Slurm refuses the jobs: {problem}; see configs/launchers/")


def parameters(settings: SlurmSettings, name: str) -> dict[str, Any]:
    """Return submitit's parameters of a batch."""
    modules = [f"module load {shlex.quote(module)}" for module in settings.modules]
    wanted = {
        "job_name": name,
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "time": settings.minutes,
        "cpus_per_task": settings.cpus,
        "gpus_per_node": settings.gpus or None,
        "mem": f"{round(settings.memory_gb * 1024)}MB",
        "signal_delay_s": settings.warning_seconds,
        "array_parallelism": settings.maximum_jobs,
        "setup": [*modules, *settings.setup] or None,
        "additional_parameters": {"requeue": True, **settings.options},
    }
    # submitit's own wckey is unknown to clusters that check it.
    return {key: value for key, value in wanted.items() if value is not None} | {"wckey": None}


def batch_script(settings: SlurmSettings, batch: BatchDirectory, *, jobs: int) -> str:
    """Return the script that `submit_batch` would submit for so many jobs."""
    import_submitit()
    from submitit.slurm.slurm import _make_sbatch_string

    command = f"{_python(settings)} -u -m submitit.core._submit {shlex.quote(str(batch.path))}"
    more: dict[str, Any] = {"map_count": jobs} if jobs > 1 else {}
    script: str = _make_sbatch_string(
        command=command, folder=batch.path, **parameters(settings, batch.name), **more
    )
    return script


def import_submitit() -> Any:
    """Return submitit; raises UserError when it is not installed."""
    try:
        import submitit
    except ImportError:
        raise UserError(
            "LAUNCHER=slurm needs the package submitit: "
            "pip install -c constraints.txt -e '.[slurm]'"
        ) from None
    return submitit


def _python(settings: SlurmSettings) -> str:
    python = shlex.quote(sys.executable)
    return python if settings.container is None else f"{settings.container} {python}"


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
