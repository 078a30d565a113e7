"""The first screen: what each config's runs prove, in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.html.artefacts import Shelf
from makerlab.report.html.numbers import plain, whole, with_interval, words
from makerlab.report.html.scales import Scale, linear
from makerlab.report.ranking import RankingGroup
from makerlab.report.stored import HEADLINE
from makerlab.report.verdict import ENOUGH_SEEDS, Outcome, Verdict
from makerlab.statistics.bootstrap import Estimate

WORDS: Mapping[Outcome, str] = {
    "better": "Better than the best baseline",
    "not distinguishable": "Can't be told apart from the best baseline",
    "worse": "Worse than the best baseline",
    "unknown": "No telling: the difference has no interval",
}
SIGNS: Mapping[Outcome, str] = {
    "better": "▲",
    "not distinguishable": "=",
    "worse": "▼",
    "unknown": "?",
}
_FOREST = (190, 26)


@dataclass(frozen=True)
class VerdictRow:
    """A config's line on the first screen."""

    label: str
    outcome: Outcome
    sentence: str
    against: str
    difference: str
    kind: str
    forest: Markup
    seeds: int
    trials: str
    warnings: tuple[str, ...]

    @property
    def sign(self) -> str:
        """A sign for the eye; the words beside it say the same."""
        return SIGNS[self.outcome]


def headline(configs: Sequence[ConfigSummary]) -> str:
    """Return the one sentence that matters most about a group."""
    outcomes = [config.verdict.outcome for config in configs]
    better = outcomes.count("better")
    worse = outcomes.count("worse")
    total = f"{len(configs)} config{'s' if len(configs) != 1 else ''}"
    if not configs:
        return "Nothing can be compared yet: no run is finished and evaluated."
    if better:
        names = ", ".join(c.label for c in configs if c.verdict.outcome == "better")
        return f"{better} of {total} beat the best baseline on the test segment: {names}."
    tail = f" {worse} did worse than it." if worse else ""
    return f"None of {total} is shown to beat the best baseline on the test segment.{tail}"


def choosing(configs: Sequence[ConfigSummary]) -> str:
    """Return how much choosing stands behind the best row."""
    runs = sum(config.seeds for config in configs)
    trials = sum(config.trials or 0 for config in configs)
    return (
        f"Whoever takes the best row chooses among {whole(runs)} runs of {len(configs)} configs, "
        f"after {whole(trials)} tuning trials; the intervals above are not corrected for that."
    )


def verdict_rows(configs: Sequence[ConfigSummary]) -> list[VerdictRow]:
    """Return a row per config, all intervals over one scale."""
    scale = _common_scale([config.verdict.difference for config in configs])
    return [_row(config, scale) for config in configs]


def _common_scale(estimates: Sequence[Estimate]) -> Scale:
    return linear([bound for each in estimates for bound in each if bound is not None], zero=True)


def _row(config: ConfigSummary, scale: Scale) -> VerdictRow:
    verdict = config.verdict
    return VerdictRow(
        label=config.label,
        outcome=verdict.outcome,
        sentence=WORDS[verdict.outcome],
        against=" or ".join(words(name) for name in config.best_baseline.split("/")),
        difference=with_interval(verdict.difference, signed=True),
        kind=_kind(verdict),
        forest=forest(verdict.difference, scale),
        seeds=verdict.seeds,
        trials=whole(config.trials) if config.trials is not None else "unknown",
        warnings=tuple(_warnings(config)),
    )


def _kind(verdict: Verdict) -> str:
    if verdict.difference.low is None:
        return "no interval: too few episodes"
    if not verdict.over_seeds:
        return "interval over episodes"
    low, high = verdict.over_episodes.low, verdict.over_episodes.high
    episodes = with_interval(verdict.over_episodes).partition(" ")[2]
    shown = episodes if low is not None and high is not None else "none"
    return f"t interval over seeds; over episodes {shown}"


def _warnings(config: ConfigSummary) -> list[str]:
    found = []
    if config.verdict.seeds < ENOUGH_SEEDS:
        few = f"{config.verdict.seeds} seed{'s' if config.verdict.seeds != 1 else ''}"
        found.append(f"only {few}: another may have learned something else")
    if config.verdict.earned_more:
        names = ", ".join(words(name) for name in config.verdict.earned_more)
        found.append(f"earned more on test: {names}")
    if config.left_out:
        found.append(f"{config.left_out} older runs of the same settings and seed left out")
    return found


def forest(estimate: Estimate, scale: Scale) -> Markup:
    """Return an interval around its value as a small picture, zero marked."""
    width, height = _FOREST
    middle = height / 2
    value, low, high = estimate
    zero = 4 + float(scale.share(0.0)) * (width - 8)
    parts = [f'<path class="zero" d="M{zero:.1f} 0V{height}"/>']
    if value is not None:
        place = 4 + float(scale.share(value)) * (width - 8)
        if low is not None and high is not None:
            ends = 4 + scale.share([low, high]) * (width - 8)
            parts.append(
                f'<path class="interval k0" d="M{ends[0]:.1f} {middle}H{ends[1]:.1f}'
                f'M{ends[0]:.1f} {middle - 4}v8M{ends[1]:.1f} {middle - 4}v8"/>'
            )
        parts.append(f'<use class="mark k0" href="#m3" x="{place:.1f}" y="{middle}"/>')
    label = escape(f"{words(HEADLINE)} minus the best baseline's: {with_interval(estimate)}")
    return Markup(
        f'<svg class="forest" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class Fact:
    """Something a reader must know before a number is believed; `alarm` makes it stand out."""

    name: str
    text: str
    alarm: bool = False


def facts(standing: Standing, shelf: Shelf) -> list[Fact]:
    """Return what the numbers of a group rest on."""
    group, configs = standing
    records = [run for config in configs for run in config.runs] or group.records
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
    parts = [
        f"{name} {day(part.get('start'))} to {day(part.get('end'))}"
        for name, part in group.split.items()
        if isinstance(part, dict)
    ]
    return [*found, Fact("Segments", "; ".join(parts))] if parts else found


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
