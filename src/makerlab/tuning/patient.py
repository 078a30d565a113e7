"""A database that is away for a while: each request is made again until it is answered."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage

from makerlab.runs.lease import RENEW_SECONDS, STALE_SECONDS
from makerlab.tuning.relational import ANSWER_SECONDS

T = TypeVar("T")

LONGEST_PAUSE = 5.0

# PostgreSQL's states for a key, a table and a type that are there already.
_THERE_ALREADY = {"23505", "42P07", "42710"}


@dataclass(frozen=True)
class Patience:
    """How long others are waited for, in seconds.

    A process that can't be looked up from here, and has given no sign of life for `stale`, is
    taken for dead; it gives one each `beat`. A database may be away for `server`; one that is not
    there at the beginning is said to be so after `opening`. A server that has been asked and is
    silent for `answer` is away.
    """

    beat: float = RENEW_SECONDS
    stale: float = STALE_SECONDS
    server: float = 900.0
    opening: float = 10.0
    answer: float = ANSWER_SECONDS


PATIENT = Patience()


def is_unreachable(error: BaseException) -> bool:
    """Return whether an error says that a server could not be asked, rather than what it said."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    for cause in _chain(error):
        if isinstance(cause, (OperationalError, InterfaceError)):
            return True
        if isinstance(cause, DBAPIError) and cause.connection_invalidated:
            return True
    return False


def made_by_another(error: BaseException) -> bool:
    """Return whether a table could not be made since another process was just making it.

    Who crashes together with a server goes on after it without the gate that it held there.
    """
    from sqlalchemy.exc import DBAPIError

    causes = [cause for cause in _chain(error) if isinstance(cause, DBAPIError)]
    return any(getattr(cause.orig, "sqlstate", None) in _THERE_ALREADY for cause in causes)


def patiently(
    ask: Callable[[], T],
    *,
    seconds: float,
    passing: Callable[[BaseException], bool] = is_unreachable,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Ask until a server answers; so many seconds after its first error one is passed on.

    Only errors that are `passing` are worth another try.
    """
    failing: float | None = None
    pause = 0.1
    while True:
        try:
            return ask()
        except Exception as error:
            failing = clock() if failing is None else failing
            if not passing(error) or clock() - failing >= seconds:
                raise
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _patient(name: str) -> Callable[..., Any]:
    def method(self: "PatientStorage", *arguments: Any, **named: Any) -> Any:
        request = getattr(self.inner, name)
        return patiently(lambda: request(*arguments, **named), seconds=self.seconds)

    return method


class PatientStorage(BaseStorage):
    """Passes requests on to another storage, again and again while its server is away.

    A request may have been carried out although its answer was lost, and is then carried out
    twice: who creates a trial or ends one must expect that.
    """

    def __init__(self, inner: optuna.storages.RDBStorage, *, seconds: float) -> None:
        """`seconds` is how long a server may be away before its error is passed on."""
        self.inner = optuna.storages.get_storage(inner)
        self.engine = inner.engine
        self.seconds = seconds

    create_new_study = _patient("create_new_study")
    delete_study = _patient("delete_study")
    set_study_user_attr = _patient("set_study_user_attr")
    set_study_system_attr = _patient("set_study_system_attr")
    get_study_id_from_name = _patient("get_study_id_from_name")
    get_study_name_from_id = _patient("get_study_name_from_id")
    get_study_directions = _patient("get_study_directions")
    get_study_user_attrs = _patient("get_study_user_attrs")
    get_study_system_attrs = _patient("get_study_system_attrs")
    get_all_studies = _patient("get_all_studies")
    create_new_trial = _patient("create_new_trial")
    set_trial_param = _patient("set_trial_param")
    set_trial_state_values = _patient("set_trial_state_values")
    set_trial_intermediate_value = _patient("set_trial_intermediate_value")
    set_trial_user_attr = _patient("set_trial_user_attr")
    set_trial_system_attr = _patient("set_trial_system_attr")
    get_trial = _patient("get_trial")
    get_all_trials = _patient("get_all_trials")
