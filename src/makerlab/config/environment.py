"""Which settings the environment gave: what a manifest records of the variables of a process."""

import os
from collections.abc import Mapping
from typing import Any

from makerlab.config.load import ALTERNATIVES, environment_values


def settings_in_environment(
    *, flags: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the MAKERLAB__SECTION__KEY variables that took effect, by name, as they were written.

    Those that `flags` (dotted keys) override did not. No other variable is returned, whatever its
    name: they hold passwords, those of storages among them. Raises UserError for an unknown key.
    """
    given = os.environ if environment is None else environment
    found: dict[str, str] = {}
    for key, _, variable in environment_values(given):
        found.pop(ALTERNATIVES.get(key, ""), None)
        found[key] = variable
    for key in flags:
        found.pop(key, None)
        found.pop(ALTERNATIVES.get(key, ""), None)
    return {variable: given[variable] for variable in found.values()}
