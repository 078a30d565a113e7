"""What the first bytes of a large file tell, for whoever asks thousands of files."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from makerlab.files import Stamp, stamp_of_stat
from makerlab.runs.manifest import COMPLETE

_HEAD_BYTES = 256
_EVALUATE_KEY = re.compile(rb'\s*\{\s*"evaluate_key"\s*:\s*"([0-9a-f]+)"')
_TRAIN_KEY = re.compile(
    rb'\s*\{\s*"state"\s*:\s*"' + COMPLETE.encode() + rb'"\s*,\s*"train_key"\s*:\s*"([0-9a-f]+)"'
)


class Head(NamedTuple):
    """The beginning of a file of JSON; `whole` says that it ends as an object does."""

    stamp: Stamp
    content: bytes
    whole: bool


def read_head(path: Path | str) -> Head | None:
    """Return the head of a file, None when it is not there."""
    try:
        file = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        stat = os.fstat(file)
        end = os.pread(file, 2, max(stat.st_size - 2, 0))
        head = os.pread(file, _HEAD_BYTES, 0)
    except IsADirectoryError:
        return None
    finally:
        os.close(file)
    return Head(stamp_of_stat(stat), head, end.rstrip().endswith(b"}"))


def complete_key(head: Head) -> str | None:
    """Return the train key of a manifest that says complete, as the train stage writes it.

    None for any other, which is to be read as a whole.
    """
    found = _TRAIN_KEY.match(head.content)
    return found[1].decode() if found and head.whole else None


def read_evaluate_key(path: Path) -> str | None:
    """Return the key that a metrics.json begins with, None for one that is missing or cut off."""
    head = read_head(path)
    found = _EVALUATE_KEY.match(head.content) if head is not None and head.whole else None
    return found[1].decode() if found else None
