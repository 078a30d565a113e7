"""What all settings models share."""

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Settings(BaseModel):
    """Base of all sections: frozen, unknown keys refused, no silent conversion of text.

    Whole floats are integers (3e5 steps) and lists are tuples; text is never a number or a switch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_other_kinds(cls, value: Any, info: Any) -> Any:
        """Refuse what pydantic would convert: YAML's `yes` to 1, "240" to 240, 1 to a date."""
        kind = cls.model_fields[info.field_name].annotation
        named = str(kind)
        if isinstance(kind, type) and issubclass(kind, Settings):
            if not isinstance(value, Mapping | kind):
                raise ValueError("expected a section, keys with values below it")
        elif "bool" in named and not isinstance(value, bool):
            raise ValueError("expected true or false")
        elif "date" in named and not _is_day(value):
            raise ValueError("expected a date such as 2024-12-31")
        elif "bool" not in named and _holds(value, bool):
            raise ValueError("a boolean, expected a value of another type")
        elif not any(word in named for word in ("str", "Literal", "date")) and _holds(value, str):
            raise ValueError("text, expected a number (write it without quotes)")
        return value


def _is_day(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None
    is_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    return value is None or is_date


def _holds(value: Any, kind: type) -> bool:
    """Whether a value, or an element of a list, is of a kind."""
    if isinstance(value, list | tuple):
        return any(_holds(element, kind) for element in value)
    return isinstance(value, kind)
