"""What a reader must know before a number is believed: data, span, fills, profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.numbers import plain, whole
from makerlab.report.ranking import RankingGroup
from makerlab.report.records import RunRecord
from makerlab.report.tables import segments_of


@dataclass(frozen=True)
class Fact:
    """Something a reader must know before a number is believed; `alarm` makes it stand out."""

    name: str
    text: str
    alarm: bool = False


def facts(group: RankingGroup, records: Sequence[RunRecord], shelf: Shelf) -> list[Fact]:
    """Return what the numbers of a group's runs rest on."""
    manifests = [shelf.manifest(record) for record in records]
    found = [_market(group), *_span(group, manifests)]
    found += _fills([_card(manifest) for manifest in manifests])
    profile = group.profile or "none"
    quick = "too few steps and trials to believe any ranking" if group.quick else ""
    found.append(Fact("Profile", f"{profile}: {quick}" if quick else profile, alarm=bool(quick)))
    return found


def _market(group: RankingGroup) -> Fact:
    name = f"{Path(group.data_path).name}, sha256 {group.data_sha256[:12]}"
    if group.synthetic:
        made_up = "SYNTHETIC, a made-up market; these numbers say nothing about a real one"
        return Fact("Data", f"{made_up} ({name})", alarm=True)
    return Fact("Data", f"real candles from a file ({name})")


def _span(group: RankingGroup, manifests: Sequence[Mapping[str, Any]]) -> list[Fact]:
    found = []
    data: Mapping[str, Any] = next(
        (m["data"] for m in manifests if isinstance(m.get("data"), dict)), {}
    )
    if data.get("start") and data.get("end"):
        rows = f", {whole(data['rows'])} bars" if isinstance(data.get("rows"), int) else ""
        length = f" of {_length(data['bar_ms'])}" if isinstance(data.get("bar_ms"), int) else ""
        gaps = data.get("gaps")
        holes = f", {len(gaps)} gaps" if isinstance(gaps, list) and gaps else ""
        found.append(
            Fact("Span", f"{day(data['start'])} to {day(data['end'])} UTC{rows}{length}{holes}")
        )
    return [*found, *(Fact(name, text) for name, text in segments_of(group))]


def _length(bar_ms: int) -> str:
    minutes = bar_ms / 60_000
    return f"{minutes:g} min" if minutes >= 1 else f"{bar_ms / 1000:g} s"


def day(stamp: object) -> str:
    """Cut a UTC time to minutes."""
    return str(stamp)[:16].replace("T", " ")


def _card(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    card = manifest.get("fill_model")
    return card if isinstance(card, dict) else {}


def _fills(cards: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Return the fill models in words, and what in them flatters."""
    models = _distinct(_model(card) for card in cards)
    flattering = _distinct(str(card.get("optimistic", "no")) for card in cards)
    found = [Fact("Fills", text) for text in models]
    return found + [Fact("Optimistic", text, alarm=True) for text in flattering if text != "no"]


def _model(card: Mapping[str, Any]) -> str:
    fees = [
        f"{name.removesuffix('_fee_rate').replace('fee_rate', 'maker')} fee {plain(1e4 * rate)} bps"
        for name in ("fee_rate", "taker_fee_rate")
        if isinstance(rate := card.get(name), int | float)
    ]
    return "; ".join(filter(None, (str(card.get("model", "")), ", ".join(fees))))


def _distinct(texts: Any) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]
