"""A stage's log: every line on standard output and in a file that can be followed."""

import contextlib
import datetime
import faulthandler
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from makerlab.errors import Interrupted, UserError
from makerlab.files import naming
from makerlab.runs.owner import check_writable
from makerlab.runs.progress import Report
from makerlab.runs.terminal import terminal_bar


@contextlib.contextmanager
def stage_log(path: Path, *, prefix: str = "", shared: bool = False) -> Iterator[Report]:
    """Open a log for appending and yield the function that writes a line to it.

    Each line is one write, so several processes may share a file. Failures are logged before
    they are passed on, crashes of native code included. Where the process is `shared` with other
    logs, crashes of native code and the terminal's bar are not this one's.
    """
    check_writable(path.parent)
    # Unbuffered: what a full disk refused is not tried again, and refused again, at the close.
    with path.open("ab", buffering=0) as file:
        if not shared:
            faulthandler.enable(file)

        def report(line: str) -> None:
            now = datetime.datetime.now(datetime.UTC)
            text = f"{now:%Y-%m-%d %H:%M:%S}Z {prefix}{line}\n"
            with naming(path):
                file.write(text.encode())
            sys.stdout.write(text)
            sys.stdout.flush()

        try:
            with contextlib.nullcontext() if shared else terminal_bar(sys.stdout):
                yield report
        except (UserError, Interrupted) as error:
            with contextlib.suppress(OSError):
                report(f"stopped: {error}")
            raise
        except Exception:
            with contextlib.suppress(OSError):
                file.write(traceback.format_exc().encode())
            raise
        finally:
            if not shared:
                faulthandler.disable()
