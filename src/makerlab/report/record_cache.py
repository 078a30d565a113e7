"""What was read of runs, kept so that only what changed is read again.

One file in the folder of caches, in the order of the runs, read and written line by line: of ten
thousand runs most of an analysis would go into metrics of baselines and of training segments that
no table shows. It can be deleted at any time. Few runs are not worth a file.
"""

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError, create_model

from makerlab.errors import UserError
from makerlab.files import write_bytes
from makerlab.report.profits import StoredProfits, read_profits
from makerlab.report.stored import (
    HEADLINES,
    Stored,
    StoredManifest,
    StoredMetrics,
    metrics_model,
    read_manifest,
    read_metrics,
)
from makerlab.runs.directory import RunDirectory, records_cache
from makerlab.runs.stopping import leave_with_pool

KEPT_METRICS = frozenset(HEADLINES)
"""The metrics kept of baselines; whoever wants others reads the runs themselves."""
FEWEST_RUNS = 500
"""Of fewer nothing is kept."""

_FEWEST_FOR_WORKERS = 1000
_CHUNK = 50


class StoredRun(Stored):
    """The files of a run, none of them damaged."""

    manifest: StoredManifest
    metrics: StoredMetrics | None = None
    profits: StoredProfits | None = None


class _Line(NamedTuple):
    name: bytes
    signature: bytes
    content: bytes


def stored_runs(
    runs_dir: Path, runs: Sequence[RunDirectory], *, workers: int | None = None
) -> Iterator[StoredRun | None]:
    """Yield what is kept of each run, None for one that can't be; what is new is read for it.

    `runs` are in order of algorithm and name; many new ones are read by `workers` processes (None:
    one per processor). A run counts as changed when one of its files has another time, size or
    inode than it had. Where nothing can be written nothing is kept.
    """
    path = records_cache(runs_dir)
    signatures = [_signature(run) for run in runs]
    known = [line is not None for line in _matching(_lines(path), runs, signatures)]
    missing = [run for run, there in zip(runs, known, strict=True) if not there]
    gone = sum(known) < sum(1 for _ in _lines(path))
    fresh = _read(missing, workers or os.cpu_count() or 1)
    changed, kept = gone, [_header()]
    old = _matching(_lines(path), runs, signatures)
    for run, signature, line in zip(runs, signatures, old, strict=True):
        content, stored = next(fresh) if line is None else (line.content, None)
        changed |= line is None and content is not None
        if content is not None and (missing or gone):
            kept.append(b"\t".join((_name(run), signature, content)))
        yield stored if content is None or stored is not None else _parsed(content)
    # What is damaged is looked at each time, and no reason to write.
    if changed:
        with contextlib.suppress(OSError):
            write_bytes(path, b"\n".join(kept) + b"\n")


def _lines(path: Path) -> Iterator[_Line]:
    """Yield the lines of the file; none of one that is missing or that other code has written."""
    try:
        with path.open("rb") as file:
            if file.readline().rstrip(b"\n") != _header():
                return
            for text in file:
                parts = text.rstrip(b"\n").split(b"\t")
                if len(parts) == len(_Line._fields):
                    yield _Line(*parts)
    except OSError:
        return


def _matching(
    lines: Iterator[_Line], runs: Iterable[RunDirectory], signatures: Iterable[bytes]
) -> Iterator[_Line | None]:
    """Yield the line of each run that has not changed; both come in the same order."""
    line = next(lines, None)
    for run, signature in zip(runs, signatures, strict=True):
        name = _name(run)
        while line is not None and line.name.split(b"/") < name.split(b"/"):
            line = next(lines, None)
        same = line is not None and line.name == name
        yield line if line is not None and same and line.signature == signature else None


def _name(run: RunDirectory) -> bytes:
    return os.fsencode(f"{run.path.parent.name}/{run.name}")


def _signature(run: RunDirectory) -> bytes:
    """Return what changes when a file of a run is replaced or edited."""
    paths = (run.manifest, run.evaluation.metrics, run.evaluation.profits)
    return ",".join(map(_state_of, paths)).encode()


def _state_of(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "-"
    return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


@functools.cache
def _model() -> type[StoredRun]:
    fields: dict[str, Any] = {"metrics": (metrics_model(KEPT_METRICS) | None, None)}
    return create_model("Run", __base__=StoredRun, **fields)


@functools.cache
def _header() -> bytes:
    """Return what differs when other code reads more, less or otherwise."""
    schema = json.dumps([_model().model_json_schema(), sorted(KEPT_METRICS)])
    return hashlib.sha256(schema.encode()).hexdigest().encode()


def _parsed(content: bytes) -> StoredRun | None:
    try:
        return _model().model_validate_json(content)
    except ValidationError:
        return None


def _stored(run: RunDirectory) -> StoredRun | None:
    """Read a run; None when a file is damaged."""
    try:
        manifest = read_manifest(run.manifest)
        metrics = read_metrics(run.evaluation.metrics, baseline_metrics=KEPT_METRICS)
        profits = None if metrics is None else read_profits(run.evaluation.profits)
    except UserError:
        return None
    return _model()(manifest=manifest, metrics=metrics, profits=profits)


def _content(stored: StoredRun | None) -> bytes | None:
    if stored is None:
        return None
    return stored.model_dump_json(by_alias=True, exclude_unset=True).encode()


def _content_of(run: RunDirectory) -> bytes | None:
    return _content(_stored(run))


def _read(
    runs: Sequence[RunDirectory], workers: int
) -> Iterator[tuple[bytes | None, StoredRun | None]]:
    """Yield what is to be kept of runs, in their order, parsed where it was read here."""
    if len(runs) < _FEWEST_FOR_WORKERS or workers < 2:
        for stored in map(_stored, runs):
            yield _content(stored), stored
        return
    with ProcessPoolExecutor(workers, initializer=leave_with_pool) as pool:
        yield from ((content, None) for content in pool.map(_content_of, runs, chunksize=_CHUNK))
