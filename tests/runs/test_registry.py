"""What was tried stays counted: redone, deleted, killed, by many processes at once."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from makerlab.files import append_line
from makerlab.runs.directory import RegistryDirectory
from makerlab.runs.registry import Kind, Registry, Tried

DATA = "ab" * 32


def tried(key: str = "k0", *, kind: Kind = "trial", **changes: object) -> Tried:
    entry = Tried(
        kind=kind,
        key=key,
        task="market_making",
        config_name="env_baseline",
        variant="v0",
        seed=0,
        study="study" if kind == "trial" else None,
        profile="quick",
        started="2026-11-01T12:00:00+00:00",
    )
    return dataclasses.replace(entry, **changes)


def test_what_is_added_is_found_in_order_for_its_data_alone(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    entries = [tried("a"), tried("b", kind="run"), tried("c", kind="rescore")]
    for entry in entries:
        assert registry.add(DATA, entry)
    assert registry.history(DATA).tried == tuple(entries)
    assert registry.history("cd" * 32).tried == ()


def test_the_same_thing_again_counts_once_whenever_it_was_started(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert registry.add(DATA, tried("a"))
    assert not registry.add(DATA, tried("a", started="2027-01-01T00:00:00+00:00"))
    assert registry.add(DATA, tried("a", kind="run"))
    history = registry.history(DATA)
    assert [history.number(k, task="market_making") for k in ("trial", "run")] == [1, 1]
    assert history.number("trial", task="another") == 0


def test_counts_are_by_study_and_task(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number, study in enumerate(["one", "one", "two"]):
        registry.add(DATA, tried(f"t{number}", study=study))
    registry.add(DATA, tried("r", kind="run", variant="v1"))
    registry.add(DATA, tried("other", task="forecasting"))
    history = registry.history(DATA)
    assert history.by_study(task="market_making") == {"one": 2, "two": 1}
    assert [run.variant for run in history.of_runs(task="market_making")] == ["v1"]


@pytest.mark.parametrize(
    "damage",
    [b'{"kind":"trial","key":"half', b"\x00\xff\xfe\n", b'{"kind":"trial"}\n', b"[1]\n", b"null\n"],
)
def test_damaged_lines_are_counted_and_cost_no_other(tmp_path: Path, damage: bytes) -> None:
    """A writer that was killed leaves the half of a line; the next one begins anew."""
    registry = Registry(tmp_path)
    registry.add(DATA, tried("a"))
    path = RegistryDirectory(tmp_path).file(DATA)
    with path.open("ab") as file:
        file.write(damage)
    registry.add(DATA, tried("b"))
    history = registry.history(DATA)
    assert [entry.key for entry in history.tried] == ["a", "b"]
    assert history.damaged == 1


def test_wrong_types_and_unknown_kinds_are_damage(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.add(DATA, tried("a"))
    path = RegistryDirectory(tmp_path).file(DATA)
    line = path.read_text().strip()
    append_line(path, line.replace('"seed":0', '"seed":"0"').replace('"a"', '"b"'))
    append_line(path, line.replace('"trial"', '"trail"').replace('"a"', '"c"'))
    assert (len(registry.history(DATA).tried), registry.history(DATA).damaged) == (1, 2)


WRITER = """
import sys
from pathlib import Path
from tests.runs.test_registry import DATA, tried
from makerlab.runs.registry import Registry
for number in range(25):
    Registry(Path(sys.argv[1])).add(DATA, tried(f"{sys.argv[2]}-{number}"))
    Registry(Path(sys.argv[1])).add(DATA, tried(f"shared-{number}"))
"""


def test_many_processes_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    root = Path(__file__).parents[2]
    writers = [subprocess.Popen([*command, name], cwd=root) for name in ("a", "b", "c")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    history = Registry(tmp_path).history(DATA)
    assert (len(history.tried), history.damaged) == (4 * 25, 0)
    lines = RegistryDirectory(tmp_path).file(DATA).read_bytes().splitlines()
    assert len(lines) == 4 * 25


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    RegistryDirectory(tmp_path).file(DATA).mkdir(parents=True)
    with pytest.raises(OSError, match=f"{DATA}.jsonl"):
        append_line(RegistryDirectory(tmp_path).file(DATA), "{}")
