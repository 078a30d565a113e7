"""Writes docs/commands.md from every script's own `--help`: python -m tests.docs.reference."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "commands.md"
SCRIPTS = sorted([*REPOSITORY.glob("*.py"), *(REPOSITORY / "scripts").glob("*.py")])

_HEAD = """\
# Commands

Every script's own `--help`. `make` alone lists the shorter ways. Exit codes: 0 done, 2 something of
yours to mend (one line says what), 1 a fault of ours or a check that failed, 128 + n stopped by
signal n with the state saved. `python -m tests.docs.reference` writes this page.
"""


def help_of(script: Path) -> str:
    """Return what a script says of itself, 100 columns wide."""
    result = subprocess.run(
        [sys.executable, str(script.relative_to(REPOSITORY)), "--help"],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout.strip()


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for script in SCRIPTS:
        name = script.relative_to(REPOSITORY)
        parts.append(f"## {name}\n\n```text\n{help_of(script)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
