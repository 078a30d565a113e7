"""The command of several trainings in one process: what each member does is a stage's command."""

import contextlib
import faulthandler
import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makerlab.cli import ArgumentParser, exit_code_of
from makerlab.stage_commands import Member, positive, train_member, tune_member

if TYPE_CHECKING:
    from makerlab.runs.stopping import StopRequest
    from makerlab.stages.seating import Seating
    from makerlab.stages.together import Course, Ending

_READERS: dict[str, Callable[[list[str]], Member]] = {"train": train_member, "tune": tune_member}
_LAST_LINES = 20


def group_command(arguments: list[str] | None = None) -> int:
    """Follow the members of a group; returns the worst of their exit codes."""
    parser = ArgumentParser(
        description="Train several runs, or tune several studies, in one process. Each member has "
        "its own files, ends on its own, and has the result it would have alone; on a GPU members "
        "of one shape and batch share their steps. A study given twice works on two trials."
    )
    parser.add_argument("--stage", choices=tuple(_READERS), required=True, help="What members do.")
    parser.add_argument(
        "--member",
        action="append",
        required=True,
        metavar="FLAGS",
        help="A member's flags as one word, as its own command takes them; repeatable.",
    )
    parser.add_argument(
        "--at_once", type=positive, help="Members under way at a time (default: all that fit)."
    )
    parser.add_argument(
        "--outcomes", type=Path, metavar="FILE", help="Add a line of JSON here as each member ends."
    )
    given = parser.parse_args(arguments)
    from makerlab.runs.stopping import StopRequest
    from makerlab.stages.seating import Seating
    from makerlab.stages.together import together

    # The process's own: for a debugger's sake standard error may be no file.
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)
    outcomes = _Outcomes(given.outcomes)
    seating = Seating(min(given.at_once or len(given.member), len(given.member)))
    read = _READERS[given.stage]
    with StopRequest() as stop:
        courses = [
            lambda flags=flags: _course(read, shlex.split(flags), seating, stop)
            for flags in given.member
        ]
        together(courses, seating, outcomes.ended)
    return max(outcomes.codes)


def _course(
    read: Callable[[list[str]], Member], flags: list[str], seating: "Seating", stop: "StopRequest"
) -> "Course[Any]":
    """Do what the stage's own command does, as a member of a group."""
    from makerlab.runs.log import stage_log

    if stop.requested:
        raise stop.interruption("stopped before it began")
    member = read(flags)
    with stage_log(member.log, prefix=member.prefix, shared=True) as report:
        if member.finished is None:
            yield from member.course(report, seating=seating, stop=stop)
        else:
            report(member.finished)


class _Outcomes:
    """Exit codes and last words of members, as if each had been a process."""

    def __init__(self, file: Path | None) -> None:
        self.codes: list[int] = []
        self._file = file

    def ended(self, place: int, ending: "Ending") -> None:
        """Take in the end of a member; its error goes to standard error like that of a command."""
        words = io.StringIO()
        with contextlib.redirect_stderr(words):
            code = exit_code_of(ending.check)
        sys.stderr.write(words.getvalue())
        self.codes.append(code)
        if self._file is not None:
            lines = words.getvalue().splitlines()[-_LAST_LINES:]
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps({'member': place, 'status': code, 'lines': lines})}\n")
