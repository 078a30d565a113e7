"""What a matrix depends on and can be killed under it: a database, Slurm, Ray."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from makerlab.chaos.postgresql import PASSWORD, Server, binaries, free_port
from makerlab.chaos.victims import ray_workers, slurm_tasks
from makerlab.errors import UserError
from makerlab.launchers.on_ray import import_ray
from makerlab.tuning.address import VARIABLE, StorageAddress, own_storage, read_address

LONGEST_AWAY = 8.0
"""Seconds that a service is away at most after it was killed."""
_TRIES = 10

Kill = Callable[[Path, random.Random], bool]
"""Kills something of the matrix in a folder; False when there was nothing to kill."""


@dataclass
class Services:
    """What runs beside a matrix: what launches its jobs, what they find, what can be killed.

    `renew` empties the database; `mend` does, now and then, what an administrator would. `storage`
    is where studies are that don't lie with the runs.
    """

    launcher: str
    environment: dict[str, str] = field(default_factory=dict)
    kills: dict[str, Kill] = field(default_factory=dict)
    renew: Callable[[], None] = lambda: None
    mend: Callable[[], object] = lambda: None
    storage: StorageAddress | None = None


@contextlib.contextmanager
def services(launcher: str, storage: str, *, folder: Path, root: Path) -> Iterator[Services]:
    """Start what a launcher and a storage need, and end it; raises UserError where that can't be.

    `folder` takes the files of the services, `root` holds the scripts.
    """
    with contextlib.ExitStack() as stack:
        found = Services("kind: local\n")
        if launcher == "slurm":
            found = stack.enter_context(_slurm(folder / "slurm", root))
        elif launcher == "ray":
            found = stack.enter_context(_ray())
        if storage == "postgresql":
            stack.enter_context(_postgresql(found))
        elif storage == "journal":
            found.environment[VARIABLE] = own_storage(Path("runs"), shared=True)
        yield found


def kill_one(processes: list[psutil.Process], draws: random.Random) -> bool:
    """Kill one of these processes with -9."""
    if not processes:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        draws.choice(sorted(processes, key=lambda process: process.pid)).kill()
        return True
    return False


@contextlib.contextmanager
def _postgresql(found: Services) -> Iterator[None]:
    binaries()
    folder = Path(tempfile.mkdtemp(prefix="makerlab_postgresql_"))
    # Other users must be able to enter: the server does not run as root.
    folder.chmod(0o755)
    server = Server(folder / "server", free_port())
    server.create()

    def kill(lab: Path, draws: random.Random) -> bool:
        server.kill()
        time.sleep(draws.uniform(0.0, LONGEST_AWAY))
        server.revive()
        return True

    found.environment |= {VARIABLE: server.url} | server.environment
    found.kills["PostgreSQL"] = kill
    found.renew, found.storage = server.renew, read_address(server.url)
    os.environ["PGPASSWORD"] = PASSWORD
    try:
        yield
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextlib.contextmanager
def _slurm(home: Path, root: Path) -> Iterator[Services]:
    port = free_port()
    script = root / "scripts" / "dev" / "start_slurm.sh"
    names = {"HOME": str(home), "CPUS": "2", "PORT": str(port)}
    environment = os.environ | {f"MAKERLAB_SLURM_{name}": text for name, text in names.items()}

    def do(verb: str) -> str:
        command = [str(script), verb]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        if result.returncode:
            raise UserError(f"no Slurm can be started here: {result.stderr.strip()}")
        return result.stdout.strip()

    def killing(daemon: str) -> Kill:
        def kill(lab: Path, draws: random.Random) -> bool:
            os.kill(int((home / f"{daemon}.pid").read_text()), signal.SIGKILL)
            time.sleep(draws.uniform(0.0, LONGEST_AWAY))
            do("start")
            return True

        return kill

    settings = "kind: slurm\nmemory_gb: 0.5\npoll_seconds: 1\nmaximum_jobs: 4\n"
    found = Services(settings, {"SLURM_CONF": do("start")})
    # A node is drained when a job is on it that a controller killed a moment ago did not note.
    found.mend = lambda: do("start")
    found.kills["slurmd"] = killing("slurmd")
    found.kills["slurmctld"] = killing("slurmctld")
    found.kills["Slurm's task"] = lambda lab, draws: kill_one(slurm_tasks(lab), draws)
    try:
        yield found
    finally:
        do("stop")


@contextlib.contextmanager
def _ray() -> Iterator[Services]:
    import_ray()
    from ray.cluster_utils import Cluster

    room = {"object_store_memory": 80 << 20}
    # No job runs on the head: its end is that of the cluster.
    head = room | {"num_cpus": 0, "include_dashboard": False}
    cluster: Any = Cluster(initialize_head=True, head_node_args=head)

    def add_node() -> Any:
        return _insist(lambda: cluster.add_node(num_cpus=1, **room))

    nodes = [add_node() for _ in range(2)]

    def kill(lab: Path, draws: random.Random) -> bool:
        cluster.remove_node(nodes.pop(draws.randrange(len(nodes))), allow_graceful=False)
        time.sleep(draws.uniform(0.0, LONGEST_AWAY))
        nodes.append(add_node())
        return True

    def kill_worker(lab: Path, draws: random.Random) -> bool:
        return kill_one(ray_workers([_raylet(node) for node in nodes]), draws)

    found = Services(f"kind: ray\naddress: {cluster.address}\nmaximum_jobs: 4\n")
    found.kills = {"raylet": kill, "Ray's worker": kill_worker}
    try:
        yield found
    finally:
        cluster.shutdown()


def _insist(start: Callable[[], Any]) -> Any:
    """Start a raylet; on a busy machine Ray's half minute for that can be too short."""
    for _ in range(_TRIES - 1):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)
