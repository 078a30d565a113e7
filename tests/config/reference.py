"""The page of all settings, written from their own descriptions.

`python -m tests.config.reference` writes docs/configuration.md again.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from makerlab.config import Config
from makerlab.launchers.settings import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

HEAD = """\
# Settings

Every key of a config, from the models in `src/makerlab/config/`. Flags win over
environment variables (`MAKERLAB__ENV__BASE_SPREAD_BPS=8`), these over tuned parameters, these over
the profile and the YAML file, these over the defaults below. Any key can be given as
`--set section.key=value`. Unknown keys are refused. A config may begin with `include: [FILE, ...]`:
files of settings beside it, such as `scripts/calibrate_fills.py` writes, that lie under its own.
`python -m tests.config.reference` writes this page.
"""

LAUNCHERS = """\
# Launchers

Keys of a file in `configs/launchers/`, which says where the jobs of a matrix run:
`make matrix LAUNCHER=slurm`. Nothing but the file gives them.
"""


def page() -> str:
    """Return the page as Markdown."""
    lines = [HEAD, *_section(Config, ""), LAUNCHERS]
    for kind, model in KINDS.items():
        lines += [f"## launcher {kind}", "", *_table(model), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(model: type[BaseModel]) -> list[str]:
    rows = [
        f"| `{key}` | {_default(field)} | {field.description} |"
        for key, field in model.model_fields.items()
    ]
    return ["| key | default | what |", "|---|---|---|", *rows]


def _section(model: type[BaseModel], name: str) -> list[str]:
    own, below = [], []
    for key, field in model.model_fields.items():
        dotted = f"{name}.{key}" if name else key
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            below += _section(field.annotation, dotted)
        else:
            own.append(f"| `{key}` | {_default(field)} | {field.description} |")
    table = [f"## {name or 'top level'}", "", "| key | default | what |", "|---|---|---|", *own, ""]
    return (table if own else []) + below


def _default(field: Any) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {one}" for key, one in value.model_dump().items())
    return "" if value is None or value in ("", (), {}) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
