"""Archives give back what was put in, or say in one line that they can't."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from makerlab.errors import UserError
from makerlab.learning.archive import read_archive, write_archive

KINDS = ("float32", "float64", "int64", "uint8", "bool")
ARRAYS = st.sampled_from(KINDS).flatmap(
    lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
TENSORS = arrays("float32", array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4)).map(
    torch.from_numpy
)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text()
    | ARRAYS
    | TENSORS
)
KEYS = st.text() | st.integers()
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal in kind and to the last bit, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        keys = list(one) == list(other)
        return keys and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        one, other = one.numpy(), other.numpy()
    if isinstance(one, np.ndarray):
        shaped = one.shape == other.shape and one.dtype == other.dtype
        return bool(shaped and np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or one == other
    return bool(one == other)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(value=VALUES)
def test_what_is_written_is_read(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "any.zip"
    write_archive(path, value)
    assert same(read_archive(path), value)


def content() -> dict[str, Any]:
    """Return a small value of every kind, new objects each time."""
    return {
        "weights": torch.arange(6.0).reshape(2, 3),
        "replay": np.arange(5, dtype=np.float32),
        "state": (1, [2.5, None, "é"], {3: True}),
        "big": 2**130,
    }


def test_the_same_value_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_archive(tmp_path / name, content())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_view_is_stored_as_what_it_shows(tmp_path: Path) -> None:
    array = np.arange(12).reshape(3, 4)
    write_archive(tmp_path / "views", {"part": array[:2, ::2], "turned": array.T})
    found = read_archive(tmp_path / "views")
    np.testing.assert_array_equal(found["part"], [[0, 2], [4, 6]])
    np.testing.assert_array_equal(found["turned"], array.T)


@pytest.mark.parametrize(
    "value",
    [object(), {1.5: 2}, {(1, 2): 3}, {None: 1}, {"deep": [set()]}, b"bytes"],
    ids=["object", "float key", "tuple key", "null key", "set", "bytes"],
)
def test_what_could_not_be_given_back_is_refused_at_once(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="archive"):
        write_archive(tmp_path / "any", value)
    assert list(tmp_path.iterdir()) == []


def test_objects_in_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        write_archive(tmp_path / "any", np.array([object()]))
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_short_anywhere_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    write_archive(path, content())
    whole = path.read_bytes()
    # Every end of the directory, which comes last, and every seventh of the rest.
    for length in {*range(0, len(whole), 7), *range(len(whole) - 100, len(whole))}:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"whole: damaged or not a checkpoint") as caught:
            read_archive(path)
        assert "\n" not in str(caught.value)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    write_archive(path, content())
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            assert same(read_archive(path), content())
        except UserError:
            noticed += 1
    assert noticed > 0.7 * len(whole)


FOREIGN = {
    "text": b"not a zip file",
    "empty": b"",
    "numbers": b"\x00" * 500,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(UserError, match="other: damaged or not a checkpoint"):
        read_archive(path)


@pytest.mark.parametrize(
    "tree",
    ["{}", '{"array": 7}', '{"dict": 5}', '{"dict": [[1]]}', '{"a": 1, "b": 2}', "nonsense", "[1"],
)
def test_a_zip_file_with_another_tree_is_refused(tmp_path: Path, tree: str) -> None:
    path = tmp_path / "other"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tree.json", tree)
    with pytest.raises(UserError, match="other: damaged or not a checkpoint"):
        read_archive(path)


def test_what_the_system_refuses_is_not_called_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        read_archive(tmp_path)
