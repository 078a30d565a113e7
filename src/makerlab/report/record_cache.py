"""The files of many runs, kept so that only what changed is read again.

One file in the folder of caches, a line per run: of ten thousand runs most of an analysis would go
into metrics of baselines and of training segments that no table shows. It can be deleted at any
time. Few runs are not worth a file.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from makerlab.files import stamp_of, write_lines
from makerlab.report.run_files import RunFiles, read_run_files, run_files_model
from makerlab.report.stored import HEADLINES
from makerlab.runs.directory import RunDirectory, records_cache
from makerlab.runs.stopping import leave_with_pool

KEPT_METRICS = frozenset(HEADLINES)
"""The metrics kept of baselines; whoever wants others reads the runs themselves."""
FEWEST_RUNS = 500
"""Of fewer nothing is kept."""

_FEWEST_FOR_WORKERS = 1000
_CHUNK = 50


def kept_run_files(
    runs_dir: Path, runs: Sequence[RunDirectory], *, workers: int | None = None
) -> Iterator[RunFiles]:
    """Yield the files of each run, those of new and changed runs read, of the others as kept.

    Many are read by `workers` processes (None: one per processor). A run counts as changed when
    one of its files has another time, size or inode than it had. What is damaged is not kept, and
    where nothing can be written nothing is.
    """
    path = records_cache(runs_dir)
    before = _read_lines(path)
    heads = [_head(run) for run in runs]
    missing = [run for run, head in zip(runs, heads, strict=True) if head not in before]
    fresh = _read(missing, workers or os.cpu_count() or 1)
    after: dict[str, str] = {}
    new = False
    for run, head in zip(runs, heads, strict=True):
        content = before.pop(head, None)
        files = None if content is None else _parsed(content)
        if content is None or files is None:
            files, content = next(fresh) if content is None else _read_here(run)
            new |= not files.problems
        if not files.problems:
            after[head] = content
        yield files
    # What is left over is of runs that have gone or changed.
    if new or before:
        rows = (f"{head}\t{content}\n" for head, content in after.items())
        with contextlib.suppress(OSError):
            write_lines(path, itertools.chain([f"{_version()}\n"], rows))


def _read_lines(path: Path) -> dict[str, str]:
    """Return what is kept by its head; nothing of a file that other code has written."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            if file.readline() != f"{_version()}\n":
                return {}
            split = (line.rpartition("\t") for line in file if line.endswith("\n"))
            return {head: content.rstrip("\n") for head, _, content in split}
    except OSError:
        return {}


def _head(run: RunDirectory) -> str:
    """Return a run's name and what changes when one of its files is replaced or edited."""
    stamps = [stamp_of(f"{run.path}{os.sep}{name}") for name in _names()]
    return f"{run.path.parent.name}/{run.name}\t{stamps}"


@functools.cache
def _names() -> tuple[str, ...]:
    """Return what is read of a run, as text: with objects for paths it takes twice as long."""
    run = RunDirectory(Path())
    return tuple(map(str, (run.manifest, run.evaluation.metrics, run.evaluation.profits)))


@functools.cache
def _version() -> str:
    """Return what differs when other code reads more, less or otherwise."""
    schema = json.dumps([run_files_model(KEPT_METRICS).model_json_schema(), sorted(KEPT_METRICS)])
    return hashlib.sha256(schema.encode()).hexdigest()


def _parsed(content: str) -> RunFiles | None:
    try:
        return run_files_model(KEPT_METRICS).model_validate_json(content)
    except ValidationError:
        return None


def _read(runs: Sequence[RunDirectory], workers: int) -> Iterator[tuple[RunFiles, str]]:
    """Yield the files of runs in their order, and the text to keep of them."""
    if len(runs) < _FEWEST_FOR_WORKERS or workers < 2:
        yield from map(_read_here, runs)
        return
    with ProcessPoolExecutor(workers, initializer=leave_with_pool) as pool:
        for content in pool.map(_content_of, runs, chunksize=_CHUNK):
            yield run_files_model(KEPT_METRICS).model_validate_json(content), content


def _read_here(run: RunDirectory) -> tuple[RunFiles, str]:
    files = read_run_files(run, baseline_metrics=KEPT_METRICS)
    return files, files.model_dump_json(by_alias=True, exclude_unset=True)


def _content_of(run: RunDirectory) -> str:
    return _read_here(run)[1]
