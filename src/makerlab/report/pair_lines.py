"""Configs against each other as text: a table of all pairs, and what it says in plain words."""

from collections.abc import Iterator, Sequence

from makerlab.report.by_config import ConfigSummary
from makerlab.report.pairs import Pair, PairedDifference, all_pairs
from makerlab.report.verdict import LEVEL
from makerlab.report.words import NOTHING, counted, number, p_value, signed, table

SIGNS = {"better": "+", "worse": "-", "not distinguishable": "=", "unknown": "?"}


def pair_lines(configs: Sequence[ConfigSummary], *, top_k: int) -> Iterator[str]:
    """Yield the table of every config minus every other; nothing for one config or very many.

    Of more than `top_k` configs the first are shown, corrected for the pairs of all.
    """
    every = all_pairs(configs)
    caption = pairs_caption(every)
    configs = configs[:top_k]
    shown = {id(config) for config in configs}
    pairs = [pair for pair in every if id(pair.second) in shown]
    if not pairs:
        return
    yield ""
    first = "" if len(pairs) == len(every) else f", the first {len(configs)}"
    yield f"Configs against each other{first}, test {configs[0].headline}: {caption}"
    numbered = {id(config): f"{place} {config.label}" for place, config in enumerate(configs, 1)}
    headers = ["row minus column", *(str(place) for place in range(2, len(configs) + 1))]
    rows = []
    for place, config in enumerate(configs[:-1], 1):
        cells = [_cell(pair.found) for pair in pairs if pair.first is config]
        rows.append([numbered[id(config)], *[""] * (place - 1), *cells])
    rows.append([numbered[id(configs[-1])], *[""] * (len(configs) - 1)])
    yield from table(rows, headers)
    yield f"{_LEGEND}."
    yield from pair_sentences(pairs)


_LEGEND = (
    "+ better, - worse, = can't be told apart, ? no telling; [95 % interval, not corrected]; /day: "
    "per 24 hours played, of configs whose episodes differ in length"
)


def pairs_caption(pairs: Sequence[Pair]) -> str:
    """Return what the numbers of a table of pairs are and what was corrected."""
    asked = sum(pair.found.p is not None for pair in pairs)
    over = "folds" if any(pair.found.folds for pair in pairs) else "seeds and days"
    several = f", with Holm's correction for the {asked} pairs of this ranking alone"
    return (
        f"per episode, paired by seed and by day, interval over {over} together; told apart at "
        f"{LEVEL:.0%}{several if asked > 1 else ''}"
    )


def _cell(found: PairedDifference) -> str:
    value, low, high = found.difference
    if value is None:
        return f"{NOTHING} {SIGNS['unknown']}"
    per = "/day" if found.unit == "day" else ""
    plus = "+" if value > 0.0 else ""
    bounds = NOTHING if low is None else f"[{_short(low)}, {_short(high)}]"
    return f"{plus}{_short(value)}{per} {SIGNS[found.relation]}\n{bounds}"


def _short(value: float | None) -> str:
    return number(value, digits=3)


def pair_sentences(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield which configs are told apart, how many are not, and why some can't be compared."""
    told = [pair for pair in pairs if pair.found.relation in ("better", "worse")]
    for pair in told:
        p = "" if pair.found.p is None else f" (p {p_value(pair.found.p)} corrected)"
        yield f"{pair.first.label} is {pair.found.relation} than {pair.second.label} on test{p}."
    unknown = [pair for pair in pairs if pair.found.relation == "unknown"]
    alike = len(pairs) - len(told) - len(unknown)
    if alike:
        who = f"{alike} of {len(pairs)} pairs" if len(pairs) > 1 else "The two configs"
        yield f"{who} can't be told apart on test."
    reasons: dict[str, list[Pair]] = {}
    for pair in unknown:
        reasons.setdefault(pair.found.reason or "not defined", []).append(pair)
    for reason, members in reasons.items():
        names = [f"{pair.first.label} with {pair.second.label}" for pair in members[:_MOST_NAMED]]
        more = f" and {len(members) - _MOST_NAMED} more" if len(members) > _MOST_NAMED else ""
        yield f"Not compared, {reason}: {', '.join(names)}{more}."


_MOST_NAMED = 3


def difference_words(found: PairedDifference, *, headline: str) -> str:
    """Return a difference with its interval, what it is over, and its p-value."""
    difference = found.difference
    if difference.value is None:
        return ""
    sign = signed(difference) if difference.low is not None else number(difference.value)
    over = f"{counted(found.seeds, 'seed')} and {counted(found.periods, found.period)} together"
    if found.folds:
        over = counted(found.folds, "fold")
    p = "" if found.p is None else f"; p {p_value(found.p)}"
    return f"{headline} {sign} per {found.unit}, over {over}{p}"
