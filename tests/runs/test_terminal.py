"""A bar on a terminal, plain lines everywhere else."""

import io
import os
import pty
import subprocess
from pathlib import Path

import pytest
from tests.commands import command, environment, write_tiny_config

from makerlab.runs.terminal import is_live, show_progress, terminal_bar


class Terminal(io.StringIO):
    """Something that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "variables", "live"),
    [
        (Terminal(), {"TERM": "xterm", "CI": ""}, True),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, False),
        (Terminal(), {"TERM": "dumb", "CI": ""}, False),
        (io.StringIO(), {"TERM": "xterm", "CI": ""}, False),
    ],
)
def test_only_a_terminal_outside_of_ci_is_live(
    output: io.StringIO, variables: dict[str, str], live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert is_live(output) is live


def test_where_there_is_no_terminal_progress_is_told_to_nobody() -> None:
    output = io.StringIO()
    with terminal_bar(output):
        show_progress(1, 10, "steps")
    show_progress(2, 10, "steps")
    assert output.getvalue() == ""


def on_a_terminal(folder: Path, **variables: str) -> str:
    """Train on a pseudo-terminal; returns all that was written to it."""
    main, end = pty.openpty()
    arguments = ("--config", write_tiny_config(folder), "--set", "train.total_timesteps=600")
    with subprocess.Popen(
        command("train_mm_sac.py", *arguments),
        cwd=folder,
        env={**environment(), "TERM": "xterm", "COLUMNS": "100", "CI": "", **variables},
        stdout=end,
        stderr=end,
    ) as process:
        os.close(end)
        said = b""
        try:
            while part := os.read(main, 4096):
                said += part
        except OSError:
            # Linux's way of saying that the other end is closed.
            os.close(main)
        assert process.wait(120) == 0, said
    return said.decode()


def test_a_stage_typed_by_hand_shows_a_bar_below_its_lines(tmp_path: Path) -> None:
    said = on_a_terminal(tmp_path)
    assert "600" in said and "━" in said
    assert "complete" in said
    (log,) = (tmp_path / "logs").glob("*_train.log")
    assert "━" not in log.read_text() and "\x1b" not in log.read_text()


def test_in_ci_the_same_terminal_gets_plain_lines(tmp_path: Path) -> None:
    said = on_a_terminal(tmp_path, CI="true")
    # Moving the cursor or erasing a line is what a bar does.
    assert "━" not in said and "\x1b[2K" not in said
