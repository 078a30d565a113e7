"""A converted capture kept in one file, so that a second replay starts at once."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from makerlab.data.capture import MarketKind
from makerlab.data.read_capture import read_capture
from makerlab.files import content_hash, file_hash, write_atomically
from makerlab.replay.checks import check_capture
from makerlab.replay.tape import Tape, make_tape

CONVERSION_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Converted:
    """A tape, what was found wrong with its capture, and the hash of the file it came from."""

    tape: Tape
    checks: dict[str, Any]
    sha256: str


def conversion_key(sha256: str, *, market: MarketKind | None, symbol: str | None) -> str:
    """Return the name of the cached file: a hash of all that decides what is in it."""
    wanted = {"sha256": sha256, "market": market, "symbol": symbol, "version": CONVERSION_VERSION}
    return content_hash(wanted)[:16]


def convert(path: Path, *, market: MarketKind | None, symbol: str | None) -> Converted:
    """Read, check and convert a capture; raises UserError for what is wrong with it."""
    capture = read_capture(path, market=market, symbol=symbol)
    return Converted(make_tape(capture), check_capture(capture), capture.sha256)


def load_or_convert(
    path: Path, *, market: MarketKind | None, symbol: str | None, folder: Any
) -> Converted:
    """Return a kept conversion of the same bytes, or convert and keep it.

    `folder` maps a key to the cached file. One that is damaged is made again.
    """
    if not path.is_file():
        return convert(path, market=market, symbol=symbol)
    sha256 = file_hash(path)
    kept: Path = folder(conversion_key(sha256, market=market, symbol=symbol))
    found = _load(kept, sha256)
    if found is None:
        found = convert(path, market=market, symbol=symbol)
        _keep(kept, found)
    return found


def _keep(path: Path, converted: Converted) -> None:
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(Tape):
        value = getattr(converted.tape, field.name)
        (arrays if isinstance(value, np.ndarray) else plain)[field.name] = value
    record = json.dumps({"tape": plain, "checks": converted.checks, "sha256": converted.sha256})
    text = np.frombuffer(record.encode(), np.uint8)
    write_atomically(path, lambda file: np.savez_compressed(file, record=text, **arrays))


def _load(path: Path, sha256: str) -> Converted | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            record = json.loads(stored["record"].tobytes())
            arrays = {name: stored[name] for name in stored.files if name != "record"}
        if record["sha256"] != sha256:
            return None
        return Converted(Tape(**record["tape"], **arrays), record["checks"], sha256)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
