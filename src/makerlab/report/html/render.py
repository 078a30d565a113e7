"""Fills templates: everything is escaped, and the page says itself that nothing else may run."""

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from makerlab.report.html.svg import marker_sheet

_FOLDER = "templates"


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("makerlab.report.html", _FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, *, script: str, **context: Any) -> str:
    """Return a page with its style and script inside it.

    A content security policy names the script by its hash: no other may run, none may load
    anything, whatever text a config holds.
    """
    code = _resource(script)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    rules = ("default-src 'none'", "img-src data:", "style-src 'unsafe-inline'")
    text = (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_resource("report.css")),
            script=Markup(code),
            policy="; ".join((*rules, f"script-src 'sha256-{digest}'")),
            markers=marker_sheet(),
            **context,
        )
    )
    return _without_blank(text.splitlines()) + "\n"


def embedded_json(content: Mapping[str, Any] | list[Any] | tuple[Any, ...]) -> Markup:
    """Return JSON that can stand inside a script element: nothing in it can end that element."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@functools.cache
def _resource(name: str) -> str:
    """Return a style or script as it stands in a page, its indentation left out."""
    text = (files("makerlab.report.html") / _FOLDER / name).read_text(encoding="utf-8")
    return _without_blank(map(str.strip, text.splitlines()))


def _without_blank(lines: Iterable[str]) -> str:
    return "\n".join(line for line in map(str.rstrip, lines) if line)
