"""The log lines of one run or one config, and those that are still to come."""

import re
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from makerlab.errors import UserError, nearest
from makerlab.runs.directory import RunDirectory, find_runs
from makerlab.runs.manifest import read_manifest

LogFilter = Callable[[str], bool]

_STAMP = re.compile(r"^(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})Z (seed \d+: )?")
_STAGES = ("tune", "train")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Log:
    """A log file and which of its lines are wanted."""

    path: Path
    wanted: LogFilter = lambda line: True


def logs_of(
    name: str, *, runs_dir: Path, logs_dir: Path, planned: Collection[str] = ()
) -> list[Log]:
    """Return the logs of a run (a directory, its name, or a part that only one has) or a config.

    Seeds of one config share a training log, of which a run takes the lines of its seed since it
    began; configs that are `planned` may have no log yet. Raises UserError naming near ones when
    there is neither such a run nor such a config.
    """
    if not name:
        raise UserError("give the name of a run or of a config, such as env_baseline")
    runs = {run.name: run for run in find_runs(runs_dir)}
    asked = Path(name).name
    matching = [asked] if asked in runs else [run for run in runs if asked in run]
    found = [(stage, path) for stage in _STAGES for path in logs_dir.glob(f"*_{stage}.log")]
    written = {path.name.removesuffix(f"_{stage}.log") for stage, path in found}
    configs = sorted(written | set(planned))
    if asked in configs:
        return [Log(logs_dir / f"{asked}_{stage}.log") for stage in _STAGES]
    if len(matching) == 1:
        return _existing(_logs_of_run(runs[matching[0]], logs_dir), name)
    if len(matching) > 1:
        raise UserError(
            f"'{name}': {len(matching)} runs have that in their name, such as {matching[0]} and "
            f"{matching[-1]}; give more of it"
        )
    known = [*configs, *runs]
    hint = nearest(asked, known) if known else f"{runs_dir} and {logs_dir} hold none yet"
    raise UserError(f"'{name}': no such run or config; {hint}")


def follow(
    logs: list[Log], *, lines: int, forever: bool, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Yield the last lines in order of time, then with `forever` each line as it is written.

    Lines without a time (a traceback) stay behind the one before them. A log that is not there
    yet is waited for.
    """
    followed = [_Followed(log) for log in logs]
    known = [line for each in followed for line in each.read()]
    # Sorting is stable: what has no time of its own got that of the line before.
    yield from (text for _, text in sorted(known, key=lambda pair: pair[0])[-lines:])
    while forever:
        sleep(POLL_SECONDS)
        for each in followed:
            yield from (text for _, text in each.read())


class _Followed:
    """A log with the place up to which it has been read."""

    def __init__(self, log: Log) -> None:
        self._log, self._position = log, 0
        self._stamp, self._taken = "", False

    def read(self) -> list[tuple[str, str]]:
        """Return (time, line) of whole lines that are wanted and have not been read."""
        try:
            with self._log.path.open("rb") as file:
                file.seek(self._position)
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return []
        if not whole:
            return []
        self._position += len(whole) + 1
        return [pair for line in whole.split(b"\n") if (pair := self._pair(line)) is not None]

    def _pair(self, content: bytes) -> tuple[str, str] | None:
        line = content.decode(errors="replace")
        match = _STAMP.match(line)
        if match:
            self._stamp, self._taken = match.group(1), self._log.wanted(line)
        return (self._stamp, line) if self._taken or not self._stamp else None


def _existing(logs: list[Log], name: str) -> list[Log]:
    if not any(log.path.is_file() for log in logs):
        places = " nor ".join(str(log.path) for log in logs)
        raise UserError(f"'{name}': has no log, neither {places}; give --logs_dir")
    return logs


def _logs_of_run(run: RunDirectory, logs_dir: Path) -> list[Log]:
    manifest = read_manifest(run.manifest, needs={"config_name": str, "seed": int})
    started = str(manifest.get("started", ""))[:19].replace("T", " ")

    def of_this_run(line: str) -> bool:
        match = _STAMP.match(line)
        if match is None:
            return False
        return match.group(1) >= started and match.group(2) == f"seed {manifest['seed']}: "

    return [
        Log(logs_dir / f"{manifest['config_name']}_train.log", of_this_run),
        Log(logs_dir / f"{run.name}_eval.log"),
    ]
