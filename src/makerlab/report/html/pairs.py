"""Configs against each other on the first screen: a table of every row minus every column."""

from collections.abc import Sequence
from dataclasses import dataclass

from makerlab.report.by_config import ConfigSummary
from makerlab.report.html.numbers import with_interval, words
from makerlab.report.html.verdicts import SIGNS
from makerlab.report.pair_lines import pair_sentences, pairs_caption
from makerlab.report.pairs import PairedDifference, Relation, all_pairs
from makerlab.report.words import p_value

_WORDS = {
    "better": "row better",
    "worse": "row worse",
    "not distinguishable": "can't be told apart",
    "unknown": "no telling",
}


@dataclass(frozen=True)
class PairCell:
    """What a row's config earned more than a column's."""

    relation: Relation
    sign: str
    difference: str
    words: str


@dataclass(frozen=True)
class PairRow:
    """A config's differences to those after it; None for those before."""

    label: str
    cells: tuple[PairCell | None, ...]


@dataclass(frozen=True)
class PairsTable:
    """Every pair of a ranking's configs once."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[PairRow, ...]
    sentences: str


def pairs_table(configs: Sequence[ConfigSummary]) -> PairsTable | None:
    """Return the table, None for one config or more than a table can show."""
    pairs = all_pairs(configs)
    if not pairs:
        return None
    rows = []
    for place, config in enumerate(configs[:-1]):
        cells = [_cell(pair.found) for pair in pairs if pair.first is config]
        rows.append(PairRow(config.label, (*[None] * place, *cells)))
    metric = words(configs[0].headline)
    return PairsTable(
        caption=f"{metric[:1].upper()}{metric[1:]} on test, {pairs_caption(pairs)}. Intervals at "
        "95 %, not corrected. Best on validation first.",
        columns=tuple(config.label for config in configs[1:]),
        rows=tuple(rows),
        sentences=" ".join(pair_sentences(pairs)),
    )


def _cell(found: PairedDifference) -> PairCell:
    per = " per day" if found.unit == "day" else ""
    p = "" if found.p is None else f", p {p_value(found.p)}"
    return PairCell(
        relation=found.relation,
        sign=SIGNS[found.relation],
        difference=f"{with_interval(found.difference, signed=True)}{per}",
        words=f"{_WORDS[found.relation]}{p}",
    )
