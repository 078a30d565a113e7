"""How many runs of one shape share a process, by where the processes are."""

import math
from dataclasses import dataclass

from makerlab.launchers.settings import (
    DebugSettings,
    LauncherSettings,
    LocalSettings,
    RaySettings,
    SlurmSettings,
)
from makerlab.matrix.devices import computes_on_cpu
from makerlab.matrix.options import MatrixOptions

ALL_THAT_FIT = 64
PER_GPU = 8


@dataclass(frozen=True)
class Packing:
    """How many may share a process, and whether few full ones are better than many.

    Processes of one machine share its cores and its GPU: free places get equal shares. On a
    cluster each job has a GPU of its own, and who waits for one is better off in one that runs.
    """

    limit: int
    full: bool = False

    def size(self, ready: int, free: int) -> int:
        """Return how many of so many that are ready the next process gets, places being free."""
        if self.full:
            return math.ceil(ready / math.ceil(ready / self.limit))
        return min(self.limit, math.ceil(ready / free))


def packing_of(settings: LauncherSettings, options: MatrixOptions) -> Packing:
    """Return what `--group_size` means for a launcher; left out, groups are for GPUs.

    On a CPU each has its own process: forks share all that is shared within one, and a core has
    no more arithmetic to give to several networks than to one.
    """
    if isinstance(settings, SlurmSettings | RaySettings):
        # A share of a GPU has been asked for by those who pack it by processes.
        packed = settings.gpus >= 1 and options.device != "cpu"
        return Packing(options.group_size or (PER_GPU if packed else 1), full=True)
    on_cpu = computes_on_cpu(options.device) or isinstance(settings, DebugSettings)
    limit = options.group_size or (1 if on_cpu else ALL_THAT_FIT)
    return Packing(limit, full=isinstance(settings, DebugSettings))


def computes_here(settings: LauncherSettings) -> bool:
    """Return whether jobs find the devices of this machine."""
    return isinstance(settings, LocalSettings | DebugSettings)
