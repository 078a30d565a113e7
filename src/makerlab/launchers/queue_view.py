"""What a cluster's queue says of the jobs of a matrix, for whoever asks how it stands."""

from pathlib import Path

from makerlab.errors import UserError
from makerlab.launchers.settings import SlurmSettings, load_launcher
from makerlab.launchers.slurm_batch import read_batches
from makerlab.launchers.slurm_queue import Entry, Unreachable, read_queue


def queue_view(launcher: str, runs_dir: Path) -> dict[str, Entry]:
    """Return what waits or runs in the queue by the names of its work.

    Empty for launchers without a queue, and where the queue can't be asked: from another machine
    the files tell how a matrix stands.
    """
    try:
        if not isinstance(load_launcher(launcher), SlurmSettings):
            return {}
        queue = read_queue()
    except (UserError, Unreachable):
        return {}
    view: dict[str, Entry] = {}
    for task in read_batches(runs_dir):
        entry = queue.get(task.place)
        if entry is not None and not entry.ended:
            view |= dict.fromkeys(task.name.split(", "), entry)
    return view
