"""The page of all settings, written from their own descriptions.

`python -m tests.config.reference` writes docs/configuration.md again.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from makerlab.config import Config

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


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([HEAD, *_section(Config, "")]).rstrip() + "\n"


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
    return "" if value in {None, ""} else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
