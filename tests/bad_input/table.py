"""docs/errors.md: the cases and what the commands say to them.

`python -m tests.bad_input.table` writes it from what the commands really say today.
"""

import contextlib
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bad_input.all_cases import SECTIONS
from tests.bad_input.case import Case
from tests.bad_input.lab import (
    DISK,
    Outcome,
    make_read_only,
    make_template,
    mounted,
    run_command,
)
from tests.commands import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "errors.md"

_HEAD = """\
# What goes wrong, and what is said

Every mistake below gets one line on standard error that names the file, the key or the row, what
was found and what was expected, with the nearest valid choice where there is one. Nothing is half
written and nothing that was there is lost. Each row is a test (`tests/test_bad_input.py`), and the
messages are those the commands gave when this page was written by
`python -m tests.bad_input.table`; where they differ today, the test fails.

Exit codes of every command:

| code | means |
|---|---|
| 0 | done; what was odd on the way is a line that begins with `warning:` |
| 1 | work that was well asked for failed: a training diverged, an audit found a fault |
| 2 | bad input: one line, `error: ...` |
| 130, 143 | stopped by Ctrl-C or SIGTERM, after a checkpoint; the same command continues |

`tiny.yaml`, `candles.csv` and the run `20260101_000000_tiny_seed0` are those of the tests; `<hash>`
stands for the first digits of a checksum.
"""


def outcome_of(case: Case, template: Path, folder: Path) -> Outcome:
    """Prepare a copy of the template and run the case's command in it.

    Raises OSError when the case needs a file system of its own and none may be mounted.
    """
    shutil.copytree(template, folder)
    with mounted(folder / DISK) if case.disk else contextlib.nullcontext():
        case.prepare(folder)
        if case.disk == "ro":
            make_read_only(folder / DISK)
        return run_command(folder, case.command, case.words, variables=case.variables)


def row(case: Case, outcome: Outcome) -> str:
    """Return a line of the table."""
    message = re.sub(r"x{60,}", "xxx...", outcome.message).replace("|", "\\|")
    return f"| {case.did} | `{case.command}` | `{message}` | {outcome.code} |"


def documented_rows() -> list[str]:
    """Return the rows of the document that are cases, in order."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"\| .* \| `\w+` \| `.*` \| \d+ \|$", line)]


def main() -> None:
    """Run every case and write the document."""
    parts = [_HEAD]
    with tempfile.TemporaryDirectory() as name:
        template = Path(name) / "template"
        template.mkdir()
        make_template(template)
        for section, cases in SECTIONS.items():
            parts.append(
                f"\n## {section}\n\n| the user | command | message | code |\n|---|---|---|---|"
            )
            for number, case in enumerate(cases):
                folder = Path(name) / f"{section}-{number}"
                parts.append(row(case, outcome_of(case, template, folder)))
                shutil.rmtree(folder)
    DOCUMENT.write_text("\n".join(parts) + "\n", encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT}: {sum(map(len, SECTIONS.values()))} cases\n")


if __name__ == "__main__":
    main()
