"""Courses: work on trainings that others advance, so that one process can follow several.

A course is a generator that yields a training whenever it wants a turn of it, and returns its
result. What goes wrong in the turn is thrown in where the course waits, so a course reads as if it
had advanced the training itself, and clean-up is where it always was.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from makerlab.learning.training import Training
from makerlab.runs.stopping import StopRequest
from makerlab.stages.seating import Seating

T = TypeVar("T")
Course: TypeAlias = Generator[Training, None, T]

Begin = Callable[[], Course[Any]]


@dataclass(frozen=True)
class Ending:
    """How a course ended: with a result, or with an error."""

    result: Any = None
    error: Exception | None = None

    def check(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error


def alone(course: Course[T]) -> T:
    """Follow a course to its end and return its result; raises what it raises."""
    try:
        training = next(course)
        while True:
            try:
                training.advance()
            except BaseException as error:  # noqa: BLE001 - the course decides what it means
                training = course.throw(error)
            else:
                training = next(course)
    except StopIteration as end:
        result: T = end.value
        return result


def together(
    beginnings: Iterable[Begin], seating: Seating, ended: Callable[[int, Ending], None]
) -> None:
    """Follow courses turn by turn, as many at a time as there are seats; tells each one's end.

    `ended` gets a course's place among the beginnings. An error ends its course alone.
    """
    waiting = list(enumerate(beginnings))
    under_way: dict[int, tuple[Course[Any], Training]] = {}

    def move(place: int, course: Course[Any], step: Callable[[], Training]) -> None:
        before = under_way.pop(place, None)
        try:
            under_way[place] = (course, step())
            return
        except StopIteration as end:
            ending = Ending(result=end.value)
        except Exception as error:  # noqa: BLE001 - one member's trouble is not another's
            ending = Ending(error=error)
        if before is not None:
            seating.leave(before[1])
        ended(place, ending)

    try:
        while waiting or under_way:
            trainings = [training for _, training in under_way.values()]
            if waiting and len(under_way) < seating.limit(trainings):
                place, begin = waiting.pop(0)
                course = begin()
                move(place, course, course.__next__)
                continue
            failed = seating.turn(trainings)
            for number, (place, (course, _)) in enumerate(list(under_way.items())):
                error = failed.get(number)
                if error is None:
                    move(place, course, course.__next__)
                else:
                    move(place, course, partial(course.throw, error))
    finally:
        for course, _ in under_way.values():
            course.close()


def asked_to(stop: StopRequest | None) -> AbstractContextManager[StopRequest]:
    """Return the request that a whole group listens to, or one of the course's own."""
    return StopRequest() if stop is None else nullcontext(stop)
