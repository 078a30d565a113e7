"""The card that says under which fill assumptions a result was obtained."""

from typing import Any

from makerlab.config import EnvSettings


def fill_model_card(settings: EnvSettings) -> dict[str, Any]:
    """Return the fill model as flat names and values, printed with every result."""
    return {
        "rule": "next bar, strict trade-through, own price, post-only",
        "fee_rate": settings.fee_rate,
        "taker_fee_rate": settings.taker_fee_rate,
        **settings.fill.model_dump(mode="json"),
    }
