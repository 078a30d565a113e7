"""Plain archives of nested values: JSON beside arrays, in a zip, without pickle.

Dictionaries (with text or integer keys), lists, tuples, numbers, text, None, numpy arrays and
torch tensors survive a round trip exactly. Reading one never runs code; the same content always
gives the same bytes; the zip's checksums tell a damaged file.
"""

import io
import json
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from makerlab.errors import UserError
from makerlab.files import write_atomically

DAMAGE = (
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a damaged zip file from memory may raise."""

_TREE = "tree.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_archive(path: Path, content: Any) -> None:
    """Write a nested value atomically."""
    arrays: list[np.ndarray[Any, Any]] = []
    tree = json.dumps(_encode(content, arrays)).encode()

    def write(file: Any) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            add_member(archive, _TREE, tree)
            for number, array in enumerate(arrays):
                buffer = io.BytesIO()
                np.save(buffer, array, allow_pickle=False)
                add_member(archive, f"{number}.npy", buffer.getbuffer())

    write_atomically(path, write)


def read_archive(path: Path) -> Any:
    """Read a nested value; raises UserError when the file is damaged or of another kind."""
    # Read whole first: what the system refuses is told from what a damaged directory leads to.
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            tree = json.loads(archive.read(_TREE))

            def array(number: int) -> np.ndarray[Any, Any]:
                data = io.BytesIO(archive.read(f"{number}.npy"))
                return np.asarray(np.load(data, allow_pickle=False))

            return _decode(tree, array)
    except DAMAGE as error:
        raise UserError(f"{path}: damaged or not a checkpoint ({error})") from None


def add_member(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """Add a member whose header holds no clock time."""
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)


def _encode(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, torch.Tensor):
        arrays.append(value.detach().cpu().numpy())
        return {"tensor": len(arrays) - 1}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):
        if not all(isinstance(key, str | int) for key in value):
            raise TypeError(f"an archive's keys are text or integers, found {list(value)}")
        return {"dict": [[key, _encode(item, arrays)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return {"list": [_encode(item, arrays) for item in value]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"an archive can't hold a {type(value).__name__}")


def _decode(tree: Any, array: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return torch.from_numpy(array(content).copy())
    if kind == "array":
        return array(content)
    if kind == "dict":
        return {_key(key): _decode(item, array) for key, item in content}
    items = [_decode(item, array) for item in content]
    return tuple(items) if kind == "tuple" else items


def _key(key: Any) -> Any:
    """Share equal keys as literals do, so that a pickle of the result has the same bytes."""
    return sys.intern(key) if isinstance(key, str) else key
