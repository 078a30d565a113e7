"""Under which fill models the runs of a ranking were judged, in one line."""

from collections.abc import Mapping
from typing import Any

from makerlab.report.ranking import RankingGroup

MOST_MODELS = 3
"""More than these are counted: a line is to be read."""

# Words, the card's entry, and what makes it basis points.
_COSTS = (
    ("maker fee", "fee_rate", 1e4),
    ("taker fee", "taker_fee_rate", 1e4),
    ("half-spread", "liquidation_half_spread_bps", 1.0),
)


def fill_line(group: RankingGroup) -> str:
    """Return the fill card of a ranking group; where its runs differ, each card that there is.

    The cards are those of the ranked runs, or of all when nothing is ranked yet.
    """
    records = group.records or [record for record, _ in group.unranked]
    manifests = [record.manifest for record in records if record.manifest is not None]
    cards = list(dict.fromkeys(card_in_words(one.fill_model or {}) for one in manifests))
    if len(cards) == 1:
        return f"Fill model: {cards[0]}."
    shown = " | ".join(cards[:MOST_MODELS])
    more = len(cards) - MOST_MODELS
    rest = f" | and {more} more" if more > 0 else ""
    return f"Fill models, {len(cards)} in this group: {shown}{rest}."


def card_in_words(card: Mapping[str, Any]) -> str:
    """Return a stored card in a line: model, costs, what flatters; what it lacks is left out."""
    costs = [
        f"{words} {scale * card[name]:g} bp"
        for words, name, scale in _COSTS
        if isinstance(card.get(name), int | float)
    ]
    parts = [str(card.get("model", "not recorded")), ", ".join(costs)]
    if "fill_rule" in card:
        parts.insert(1, f"fill rule {card['fill_rule']}")
    if "optimistic" in card:
        parts.append(f"optimistic: {card['optimistic']}")
    return "; ".join(filter(None, parts))
