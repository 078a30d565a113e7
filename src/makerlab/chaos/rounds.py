"""Runs one matrix undisturbed, then again and again under kills, and compares what is left."""

import contextlib
import dataclasses
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from makerlab.chaos.artefacts import DoubledError, artefacts, differences
from makerlab.chaos.lab import start_matrix, write_lab
from makerlab.chaos.services import Kill, Services, kill_one, services
from makerlab.chaos.victims import everything, fork_servers, workers
from makerlab.errors import Failed
from makerlab.runs.progress import Report

LAUNCHERS = ("local", "slurm", "ray")
STORAGES = ("own", "journal", "postgresql")
SHOWN = 10
SHORTEST_PAUSE = 1.0
DRIVER = "driver"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChaosOptions:
    """What is run, and how it is disturbed.

    A `storage` of `own` is what the launcher takes when nothing is said: SQLite, or a journal where
    many hosts write. After `minutes` nothing is killed any more, and the round under way is brought
    to its end.
    Between two kills there are up to `pause` seconds, by default a fifth of what the undisturbed
    matrix takes: kept from its first step, no matrix gets anywhere. A round, or the undisturbed
    matrix, that has not ended after `longest` seconds counts as one that never ends.
    """

    minutes: float
    seed: int
    launcher: str
    storage: str
    folder: Path
    root: Path
    configs: int = 2
    steps: int = 16_000
    pause: float | None = None
    longest: float = 1200.0


@dataclasses.dataclass
class Round:
    """How one disturbed matrix went."""

    kills: Counter[str] = dataclasses.field(default_factory=Counter)
    starts: int = 0
    seconds: float = 0.0
    wrong: list[str] = dataclasses.field(default_factory=list)

    def sentence(self) -> str:
        """Return the round in a line."""
        verdict = f"{len(self.wrong)} differences" if self.wrong else "as undisturbed"
        return (
            f"{self.seconds:.0f} s, {self.kills.total()} kills ({shown(self.kills)}), "
            f"started {self.starts} times: {verdict}"
        )


def shown(kills: Counter[str]) -> str:
    """Return what was killed and how often."""
    return ", ".join(f"{name} {count}" for name, count in sorted(kills.items())) or "nothing"


def run_chaos(options: ChaosOptions, *, report: Report) -> list[Round]:
    """Run the rounds; returns how each went, with what differs from the undisturbed matrix.

    Raises UserError when the launcher or the storage can't be had here, Failed when the matrix
    does not end well by itself.
    """
    options.folder.mkdir(parents=True, exist_ok=True)
    where = {"folder": options.folder, "root": options.root}
    with services(options.launcher, options.storage, **where) as beside:
        return _Chaos(options, beside, report).run()


@dataclasses.dataclass
class _Chaos:
    options: ChaosOptions
    beside: Services
    report: Report
    clock: Callable[[], float] = time.monotonic

    def run(self) -> list[Round]:
        options = self.options
        self.report(f"launcher {options.launcher}, storage {options.storage}, seed {options.seed}")
        began = self.clock()
        expected = self._undisturbed(options.folder / "undisturbed")
        alone = self.clock() - began
        self.report(f"undisturbed: {alone:.0f} s, {len(expected)} artefacts")
        pause = options.pause or max(alone / 5, 2 * SHORTEST_PAUSE)
        draws = random.Random(options.seed)
        began = self.clock()
        rounds: list[Round] = []
        while not rounds or self.clock() - began < 60 * options.minutes:
            lab = self._lab(options.folder / f"round_{len(rounds) + 1}")
            until = began + 60 * options.minutes
            ended = _Play(options, self.beside, lab, draws, until, pause).play()
            ended.wrong = ended.wrong or self._compare(expected, lab)
            rounds.append(ended)
            self.report(f"round {len(rounds)}: {ended.sentence()}")
            for line in ended.wrong[:SHOWN]:
                self.report(f"  {line}")
        return rounds

    def _undisturbed(self, folder: Path) -> dict[str, Any]:
        """Run the matrix as processes of this machine, with nothing beside it."""
        lab = self._write(folder, launcher="kind: local\n")
        driver = start_matrix(lab, root=self.options.root, environment={})
        try:
            status = driver.wait(self.options.longest)
        except subprocess.TimeoutExpired:
            raise Failed(f"{lab}: the undisturbed matrix did not end; see driver.log") from None
        finally:
            # Nothing stays behind, not of an interrupted round either.
            end_all(lab, driver)
        if status:
            raise Failed(f"{lab}: the undisturbed matrix failed ({status}); see driver.log")
        return artefacts(lab / "runs")

    def _lab(self, folder: Path) -> Path:
        self.beside.renew()
        return self._write(folder, launcher=self.beside.launcher)

    def _write(self, folder: Path, *, launcher: str) -> Path:
        sizes = {"configs": self.options.configs, "steps": self.options.steps}
        return write_lab(folder, **sizes, launcher=launcher)

    def _compare(self, expected: dict[str, Any], lab: Path) -> list[str]:
        try:
            found = artefacts(lab / "runs", storage=self.beside.storage)
        except DoubledError as problem:
            return [str(problem)]
        return differences(expected, found)


@dataclasses.dataclass
class _Play:
    """One matrix, started again and again until it says that it is finished."""

    options: ChaosOptions
    beside: Services
    lab: Path
    draws: random.Random
    until: float
    pause: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    round: Round = dataclasses.field(default_factory=Round)

    def play(self) -> Round:
        began = self.clock()
        driver = self._start()
        try:
            while self.clock() - began < self.options.longest:
                try:
                    status = driver.wait(self.draws.uniform(SHORTEST_PAUSE, self.pause))
                except subprocess.TimeoutExpired:
                    self.beside.mend()
                    if self.clock() < self.until:
                        self._disturb(driver)
                    continue
                if status == 0:
                    break
                # As a user does who reads what went wrong.
                self.sleep(self.draws.uniform(0.0, 2.0))
                driver = self._start()
            else:
                self.round.wrong = [f"{self.lab}: not finished after {self.options.longest:.0f} s"]
        finally:
            end_all(self.lab, driver)
        self.round.seconds = self.clock() - began
        return self.round

    def _start(self) -> subprocess.Popen[bytes]:
        self.round.starts += 1
        return start_matrix(self.lab, root=self.options.root, environment=self.beside.environment)

    def _disturb(self, driver: subprocess.Popen[bytes]) -> None:
        kills = self._kills(driver)
        names = sorted(kills)
        name = self.draws.choices(names, [1 if name.startswith(DRIVER) else 2 for name in names])[0]
        if kills[name](self.lab, self.draws):
            self.round.kills[name] += 1

    def _kills(self, driver: subprocess.Popen[bytes]) -> dict[str, Kill]:
        def send(number: signal.Signals) -> Kill:
            def kill(lab: Path, draws: random.Random) -> bool:
                driver.send_signal(number)
                return True

            return kill

        kills: dict[str, Kill] = {
            DRIVER: send(signal.SIGKILL),
            f"{DRIVER} by SIGTERM": send(signal.SIGTERM),
            "worker": lambda lab, draws: kill_one(workers(lab, driver=driver.pid), draws),
        }
        if self.options.launcher == "local":
            kills["fork server"] = lambda lab, draws: kill_one(
                fork_servers(lab, driver=driver.pid), draws
            )
        return kills | self.beside.kills


def end_all(lab: Path, driver: subprocess.Popen[bytes]) -> None:
    """Kill a matrix and all that works in its folder."""
    driver.kill()
    driver.wait()
    for process in everything(lab):
        with contextlib.suppress(Exception):
            process.kill()
