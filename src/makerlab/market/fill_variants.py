"""The fill models beside a config's own: each changes one assumption, so that its weight shows."""

from makerlab.config import FillSettings
from makerlab.market.fill_card import optimistic_assumptions

AS_CONFIGURED = "as configured"

# Assumptions changed one at a time, mildest names first; what is configured already is left out.
_CHANGES: tuple[tuple[str, dict[str, object]], ...] = (
    ("latency of one bar more", {}),
    ("penetration 1 bp more", {}),
    ("penetration 5 bp more", {}),
    ("a tenth of the volume share", {}),
    ("trade-through", {"rule": "trade_through"}),
    ("both touched: worse side", {"both_touched": "worse_side"}),
    ("both touched: by chance", {"both_touched": "seeded_random"}),
    ("crossing quotes take", {"post_only": False}),
    ("crossing quotes rejected", {"post_only": True}),
    ("both touched: path", {"both_touched": "path"}),
    ("both touched: both", {"both_touched": "both"}),
    ("touch", {"rule": "touch"}),
    ("calibrated intensity", {"rule": "calibrated_intensity", "penetration_bps": 0.0}),
)


def fill_variants(own: FillSettings, *, intensity: dict[str, float]) -> dict[str, FillSettings]:
    """Return fill models by name: the config's own first, then those with one assumption changed.

    `intensity` holds bid_intensity, bid_decay, ask_intensity and ask_decay for the rule that needs
    them, where the config gives none. Optimistic ones come last.
    """
    given = own.model_dump()
    scaled: dict[str, dict[str, object]] = {
        "latency of one bar more": {"latency_bars": own.latency_bars + 1},
        "penetration 1 bp more": {"penetration_bps": own.penetration_bps + 1.0},
        "penetration 5 bp more": {"penetration_bps": own.penetration_bps + 5.0},
        "a tenth of the volume share": {"volume_participation": own.volume_participation / 10.0},
    }
    found = {AS_CONFIGURED: own}
    for name, change in _CHANGES:
        changed = given | scaled.get(name, {}) | change
        if changed["rule"] == "calibrated_intensity":
            if changed["penetration_bps"]:
                continue
            changed |= {key: changed[key] or value for key, value in intensity.items()}
        variant = FillSettings.model_validate(changed)
        if variant not in found.values():
            found[name] = variant
    first, *others = found.items()
    others.sort(key=lambda item: bool(optimistic_assumptions(item[1])))
    return dict([first, *others])
