"""A comparison of two configs as text and as plain values."""

from collections.abc import Iterator
from typing import Any

from makerlab.report.by_config import ConfigSummary
from makerlab.report.compare_configs import ConfigComparison
from makerlab.report.compare_view import difference_record, difference_table
from makerlab.report.pair_lines import difference_words
from makerlab.report.pairs import PairedDifference
from makerlab.report.tables import heading
from makerlab.report.words import interval, p_value, signed, table

_WORDS = {
    "better": "{second} is better than {first}",
    "worse": "{second} is worse than {first}",
    "not distinguishable": "{second} and {first} can't be told apart",
    "unknown": "No telling whether {second} is better than {first}",
}


def config_comparison_lines(found: ConfigComparison) -> Iterator[str]:
    """Yield what was set differently, both results, their difference, and what it says."""
    yield from heading(found.group)
    yield f"A: {_title(found.first)}"
    yield f"B: {_title(found.second)}"
    yield ""
    if found.settings:
        yield from difference_table(found.settings)
    else:
        yield "Their settings are the same."
    yield ""
    yield from _results(found)
    yield ""
    for segment, each in (("test", found.test), ("valid", found.valid)):
        yield _sentence(found, segment, each)
    yield _ONE_QUESTION
    for name, each in _segments(found):
        yield from (f"Note: {name}: {note}." for note in each.notes)


_ONE_QUESTION = (
    "Intervals at 95 %; p is two-sided and for this one question: who asks about several pairs "
    "takes the table of scripts/analyze_experiments.py, which is corrected for all of them."
)


def _results(found: ConfigComparison) -> Iterator[str]:
    metric = found.first.headline
    rows = [
        (
            "valid (flatters)" if name == "valid" else name,
            interval(found.first.mean(f"{name}_{metric}")),
            interval(found.second.mean(f"{name}_{metric}")),
            signed(each.difference),
            f"per {each.unit}" if each.seeds else None,
            each.seeds or None,
            f"{each.periods} {each.period}s" if each.periods else None,
            None if each.p is None else p_value(each.p),
        )
        for name, each in _segments(found)
    ]
    headers = [metric, "A", "B", "B minus A, paired", "", "seeds", "over", "p"]
    yield from table(rows, headers)


def _segments(found: ConfigComparison) -> list[tuple[str, PairedDifference]]:
    return [("test", found.test), ("valid", found.valid)]


def _sentence(found: ConfigComparison, segment: str, each: PairedDifference) -> str:
    names = {"first": found.first.label, "second": found.second.label}
    said = f"{_WORDS[each.relation].format(**names)} on {segment}"
    if each.reason:
        said += f", {each.reason}"
    words = difference_words(each, headline=found.first.headline)
    said += f": {words}." if words else "."
    if segment == "valid":
        said += " Validation also chose parameters and checkpoints, so it flatters: judge by test."
    return said


def _title(config: ConfigSummary) -> str:
    seeds = " ".join(dict.fromkeys(str(run.seed) for run in config.runs))
    trials = "an unknown number of" if config.trials is None else str(config.trials)
    folds = f", {len(config.folds)} folds" if config.folds else ""
    return f"{config.label} ({config.algo}{folds}, seeds {seeds}, {trials} trials of its own)"


def config_comparison_record(found: ConfigComparison) -> dict[str, Any]:
    """Return the comparison as plain values."""
    return {
        "ranking_group": found.group.id,
        "data_source": found.group.data_source,
        "first": found.first.label,
        "second": found.second.label,
        "metric": found.first.headline,
        "settings": [difference_record(each) for each in found.settings],
        "second_minus_first": {name: _record(each) for name, each in _segments(found)},
    }


def _record(found: PairedDifference) -> dict[str, Any]:
    return {
        **found.difference.to_dict(),
        "per": found.unit,
        "p": found.p,
        "seeds": found.seeds,
        "periods": found.periods,
        "period": found.period,
        "folds": found.folds,
        "second_is": found.relation,
        "notes": list(found.notes),
        "reason": found.reason,
    }
