"""What is shown while a matrix runs."""

import io

import pytest
from rich.console import Console

from makerlab.matrix.display import PlainDisplay, choose_display, draw
from makerlab.matrix.plan import Work
from makerlab.matrix.progress import Progress, Snapshot, UnderWay

RUNNING = (
    UnderWay(
        Work("train", "env_baseline", 0),
        8.0,
        Progress(1500, 6000, "steps", 0.25, 250.0, 18.0, 3.25, 0.0),
    ),
    UnderWay(Work("evaluate", "env_turnover_penalty", 1), 4.0, None),
)
SNAPSHOT = Snapshot(7, 1, 28, 0.31, 421.0, RUNNING)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def test_a_log_gets_at_most_one_summary_a_minute() -> None:
    now = [0.0]
    output = io.StringIO()
    display = PlainDisplay(output, clock=lambda: now[0])
    for second in range(150):
        now[0] = float(second)
        display.show(SNAPSHOT)
    lines = output.getvalue().splitlines()
    assert [line[9:] for line in lines] == [
        "7 of 28 done, 2 running, 1 failed, about 7 min 01 s left"
    ] * 2


def test_a_terminal_sees_the_bar_and_a_row_for_each_running_stage() -> None:
    output = io.StringIO()
    Console(file=output, width=100).print(draw(SNAPSHOT))
    head, first, second = output.getvalue().splitlines()
    assert "31%" in head
    assert "about 7 min 01 s left" in head
    assert "env_baseline seed 0 train" in first
    assert "25%, 1,500 of 6,000 steps, 250/s, 18 s left" in first
    assert "env_turnover_penalty seed 1 evaluate" in second
    assert "4 s so far" in second


@pytest.mark.parametrize(
    ("output", "variables", "live"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"TERM": "xterm", "CI": "true"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_only_a_real_terminal_is_redrawn(
    output: io.StringIO, variables: dict[str, str], live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert choose_display(output).live is live


def test_the_live_display_leaves_only_lines_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    output = Terminal()
    display = choose_display(output)
    display.line("a [b] line")
    display.show(SNAPSHOT)
    display.close()
    shown = len(output.getvalue())
    display.show(SNAPSHOT)
    assert len(output.getvalue()) == shown
    assert "a [b] line" in output.getvalue()
