"""A stage's log: every line on standard output and in a file that can be followed."""

import contextlib
import datetime
import faulthandler
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from makerlab.errors import Interrupted, UserError
from makerlab.runs.progress import Report


@contextlib.contextmanager
def stage_log(path: Path, *, prefix: str = "") -> Iterator[Report]:
    """Open a log for appending and yield the function that writes a line to it.

    Each line is one write, so several processes may share a file. Failures are logged before
    they are passed on, crashes of native code included.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", buffering=1, encoding="utf-8") as file:
        faulthandler.enable(file)

        def report(line: str) -> None:
            now = datetime.datetime.now(datetime.UTC)
            text = f"{now:%Y-%m-%d %H:%M:%S}Z {prefix}{line}\n"
            file.write(text)
            sys.stdout.write(text)
            sys.stdout.flush()

        try:
            yield report
        except (UserError, Interrupted) as error:
            report(f"stopped: {error}")
            raise
        except Exception:
            file.write(traceback.format_exc())
            raise
        finally:
            faulthandler.disable()
