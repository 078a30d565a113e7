"""Files are written whole or not at all; values have one text and one hash."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makerlab.files import (
    canonical_json,
    content_hash,
    file_hash,
    write_atomically,
    write_json,
    write_text,
)


def test_a_file_appears_whole_in_folders_that_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "héllo\n")
    assert path.read_bytes() == "héllo\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


class Full(Exception):
    """The disk is full."""


@pytest.mark.parametrize("existing", [None, b"old"])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, existing: bytes | None
) -> None:
    path = tmp_path / "file"
    if existing is not None:
        path.write_bytes(existing)

    def half(file: IO[bytes]) -> None:
        file.write(b"ne")
        file.flush()
        raise Full

    with pytest.raises(Full):
        write_atomically(path, half)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [existing] * (
        existing is not None
    )


def test_a_kill_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import os, pathlib, sys\n"
        "from makerlab.files import write_atomically\n"
        "def half(file):\n"
        "    file.write(b'ne'); file.flush(); os.kill(os.getpid(), 9)\n"
        "write_atomically(pathlib.Path(sys.argv[1]), half)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert path.read_bytes() == b"old"


def test_results_may_be_read_by_others(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "x")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_the_systems_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError):
        write_text(tmp_path / "file", "x")


def test_json_keeps_the_order_given_and_ends_with_a_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": None})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": 1,\n  "a": null\n}\n'
    write_json(tmp_path / "a.json", {"b": 1, "a": None}, compact=True)
    assert (tmp_path / "a.json").read_text() == '{"b":1,"a":null}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_word_for_what_is_no_number(tmp_path: Path, value: float) -> None:
    """Trap: zeros written where nothing was measured (write null), a blank image where a plot
    failed, numbers in a document that no run produced."""
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": value})
    assert list(tmp_path.iterdir()) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(content=st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_does_not_change_the_hash(content: dict[str, Any]) -> None:
    turned = dict(reversed(list(content.items())))
    assert content_hash(turned) == content_hash(content)
    assert len(canonical_json(content).splitlines()) == 1


def test_hashes_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert file_hash(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()
    assert content_hash({"b": 1, "a": [2]}) == hashlib.sha256(b'{"a":[2],"b":1}').hexdigest()
