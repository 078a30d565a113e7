"""The card that says under which fill assumptions a result was obtained."""

from typing import Any

from makerlab.config import EnvSettings, FillSettings

_RULES = {
    "trade_through": "strict trade-through",
    "touch": "touch",
    "calibrated_intensity": "chance by distance from the mid",
}
_BOTH_TOUCHED = {
    "worse_side": "both touched: the worse side",
    "both": "both touched: both fill",
    "path": "both touched: both fill, nearer extreme first",
    "seeded_random": "both touched: one by chance",
}

# What makes a result better than the market would, and why.
_OPTIMISTIC = {
    "touch": "rule touch (no queue before the quote)",
    "calibrated_intensity": "rule calibrated_intensity (no adverse selection)",
    "both": "both_touched both (the bar's path is unknown)",
    "path": "both_touched path (the bar's path is assumed)",
}


def fill_model_card(settings: EnvSettings) -> dict[str, Any]:
    """Return the fill model as flat names and values, printed with every result.

    `model` says it in words, `optimistic` which of its assumptions flatter, or `no`.
    """
    if settings.simulates:
        return _simulated_card(settings)
    fill = settings.fill
    return {
        "model": model_in_words(fill),
        "optimistic": "; ".join(optimistic_assumptions(fill)) or "no",
        "fee_rate": settings.fee_rate,
        "taker_fee_rate": settings.taker_fee_rate,
        **fill.model_dump(mode="json"),
    }


def fill_model_line(settings: EnvSettings) -> str:
    """Return the card as one line for the terminal."""
    card = fill_model_card(settings)
    line = f"fill model: {card['model']}; maker fee {settings.fee_rate * 1e4:g} bp"
    if settings.simulates:
        return line
    return (
        f"{line}, taker fee {settings.taker_fee_rate * 1e4:g} bp plus half-spread "
        f"{settings.fill.liquidation_half_spread_bps:g} bp; optimistic: {card['optimistic']}"
    )


def optimistic_assumptions(fill: FillSettings) -> list[str]:
    """Return the assumptions that flatter a result, in words; empty when there are none."""
    chosen = (fill.rule, fill.both_touched)
    return [_OPTIMISTIC[name] for name in chosen if name in _OPTIMISTIC]


def model_in_words(fill: FillSettings) -> str:
    """Return the fill model in words, without fees."""
    bar = "next bar" if fill.latency_bars == 0 else f"{fill.latency_bars} bars after the next one"
    parts = [bar, _RULES[fill.rule], "own price", "post-only" if fill.post_only else "may take"]
    if fill.penetration_bps:
        parts.insert(2, f"by {fill.penetration_bps:g} bp")
    parts += [
        f"at most {100 * fill.volume_participation:g} % of the bar's volume",
        _BOTH_TOUCHED[fill.both_touched],
    ]
    return ", ".join(parts)


def _simulated_card(settings: EnvSettings) -> dict[str, Any]:
    market = settings.simulated
    return {
        "model": f"simulated {settings.market}, Poisson orders of one unit, own price",
        "fee_rate": settings.fee_rate,
        "fill_rule": market.fill_rule,
        "buy_intensity": market.buy_intensity,
        "sell_intensity": market.sell_intensity,
        "decay": market.decay,
    }
