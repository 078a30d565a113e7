"""Arrays computed once per input and mapped into memory by every process that needs them again.

An entry is one file, named by what its arrays were made of. It is written whole or not at all, so
any number of processes may ask for it at once; one that is damaged, cut short or of another format
counts as missing and is made again. The folder can be deleted at any time.
"""

import contextlib
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.files import write_atomically

Arrays = dict[str, npt.NDArray[Any]]
Facts = dict[str, Any]

_MAGIC = b"makerlab arrays 1\n"
_HEAD = len(_MAGIC) + 16
"""Bytes of the magic, of the header's length and of the checksum of all that follows."""

_ALIGNMENT = 64
# What a damaged header may raise when it is read.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError)


def kept_arrays(
    folder: Path | None, key: str, make: Callable[[], tuple[Facts, Arrays]]
) -> tuple[Facts, Arrays]:
    """Return the facts and arrays of a key, from the folder or made and kept there.

    Arrays of an entry are mapped copy-on-write: writing to one changes neither the file nor what
    others see. Without a folder, or where it can't be written, they are made and not kept. Passes
    on what `make` raises.
    """
    if folder is None:
        return make()
    path = folder / f"{key}.arrays"
    found = _read(path)
    if found is not None:
        return found
    made = make()
    # Nothing but time is lost without an entry; a full disk will be met where it matters.
    with contextlib.suppress(OSError):
        _write(path, *made)
        return _read(path) or made
    return made


def code_digest(modules: Sequence[str]) -> str:
    """Return a short hash of source files: arrays made by other code are stale."""
    digest = hashlib.sha256()
    for file in modules:
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


def _write(path: Path, facts: Facts, arrays: Arrays) -> None:
    blocks = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    layout, parts, offset = {}, [], 0
    for name, block in blocks.items():
        layout[name] = {"dtype": block.dtype.str, "shape": block.shape, "offset": offset}
        parts += [block.tobytes(), b"\0" * (-block.nbytes % _ALIGNMENT)]
        offset += len(parts[-2]) + len(parts[-1])
    text = json.dumps({"facts": facts, "arrays": layout}).encode()
    text += b" " * (-(_HEAD + len(text)) % _ALIGNMENT)
    content = b"".join([text, *parts])
    numbers = (len(text), zlib.crc32(content))

    def write(file: Any) -> None:
        file.write(_MAGIC)
        file.write(b"".join(number.to_bytes(8, "little") for number in numbers))
        file.write(content)

    write_atomically(path, write)


def _read(path: Path) -> tuple[Facts, Arrays] | None:
    """Return an entry, None when there is none or it is not whole."""
    try:
        mapped = np.memmap(path, np.uint8, mode="c")
        head = mapped[:_HEAD].tobytes()
        start, checksum = (
            int.from_bytes(head[first : first + 8], "little") for first in (_HEAD - 16, _HEAD - 8)
        )
        content = mapped[_HEAD:]
        if not head.startswith(_MAGIC) or zlib.crc32(content.data) != checksum:
            return None
        header, payload = json.loads(content[:start].tobytes()), content[start:]
        arrays = {}
        for name, place in header["arrays"].items():
            dtype, shape = np.dtype(place["dtype"]), tuple(place["shape"])
            size = int(np.prod(shape)) * dtype.itemsize
            part = payload[place["offset"] : place["offset"] + size]
            arrays[name] = np.asarray(part.view(dtype).reshape(shape))
        return header["facts"], arrays
    except _DAMAGE:
        return None
