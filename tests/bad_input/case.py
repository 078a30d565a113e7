"""One case of bad input: what the user did, and what must come of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bad_input.lab import CONFIG
from tests.commands import TINY_CONFIG

Prepare = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """Bad input. `says` must be in the message whatever else it says; docs/errors.md has it all."""

    did: str
    command: str
    arguments: str
    says: str
    prepare: Prepare = lambda folder: None
    code: int = 2
    variables: Mapping[str, str] = field(default_factory=dict)
    adds: tuple[str, ...] = ()
    """Files and folders that may be new, as regular expressions."""
    disk: str = ""
    """Whether a small file system is mounted as `disk/`: `rw`, or `ro` once it is prepared."""
    changes: tuple[str, ...] = ()
    """Files that may be other than before, as regular expressions."""

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments; a bar stands for a space inside one."""
        return tuple(word.replace("|", " ") for word in self.arguments.split())


def writes(name: str, content: str | bytes) -> Prepare:
    """Write a file, folders included."""

    def prepare(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def replaces(name: str | Path, old: str, new: str) -> Prepare:
    """Replace text in a file."""

    def prepare(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return prepare


def config_with(old: str, new: str) -> Prepare:
    """Replace text in the config."""
    return replaces(CONFIG, old, new)


def config_plus(lines: str) -> Prepare:
    """Add lines to the config."""
    return writes(str(CONFIG), TINY_CONFIG + lines)


def all_of(*steps: Prepare) -> Prepare:
    """Do one after another."""

    def prepare(folder: Path) -> None:
        for step in steps:
            step(folder)

    return prepare
