"""The first screen: what each config's runs prove, in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from makerlab.report.by_config import ConfigSummary
from makerlab.report.html.numbers import whole, with_interval, words
from makerlab.report.html.scales import Scale, linear
from makerlab.report.verdict import Outcome, Verdict
from makerlab.report.words import p_value
from makerlab.statistics.bootstrap import Estimate

WORDS: Mapping[Outcome, str] = {
    "better": "Better than every baseline, also the best",
    "not distinguishable": "Can't be told apart from the best baseline",
    "worse": "Worse than the best baseline",
    "unknown": "No telling whether it beats the best baseline",
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
    fold: bool
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
    if better and len(configs) == 1:
        return f"{configs[0].label} beats every baseline on the test segment."
    if better:
        names = ", ".join(c.label for c in configs if c.verdict.outcome == "better")
        return f"{better} of {total} beat every baseline on the test segment: {names}."
    if len(configs) == 1:
        did = "did worse than" if worse else "is not shown to beat"
        return f"{configs[0].label} {did} the best baseline on the test segment."
    tail = f" {worse} did worse than it." if worse else ""
    return f"None of {total} is shown to beat the best baseline on the test segment.{tail}"


def choosing(configs: Sequence[ConfigSummary]) -> str:
    """Return how much choosing stands behind the best row, and what was corrected for it."""
    if not configs:
        return ""
    behind, verdict = configs[0].group.behind, configs[0].verdict
    return (
        f"Behind every row: {_count(behind.trials, 'tuning trial')} and "
        f"{_count(behind.runs, 'training run')} of {_count(behind.variants, 'variant')} ever "
        "started on these data, deleted and failed ones too. Verdicts hold at "
        f"{1.0 - verdict.level:.0%} for all of them together (Holm's correction for "
        f"{verdict.questions} questions); intervals are not corrected."
    )


def verdict_rows(configs: Sequence[ConfigSummary]) -> list[VerdictRow]:
    """Return a row per config, all intervals over one scale."""
    every = [each for config in configs for each in (config, *config.folds)]
    scale = _common_scale([_shown(each.verdict) for each in every])
    rows = []
    for config in configs:
        rows.append(_row(config, scale))
        rows += [_row(fold, scale) for fold in config.folds]
    return rows


def _common_scale(estimates: Sequence[Estimate]) -> Scale:
    return linear([bound for each in estimates for bound in each if bound is not None], zero=True)


def _shown(verdict: Verdict) -> Estimate:
    """Return the interval over seeds and days, that over episodes where there is no such."""
    return verdict.over_episodes if verdict.difference.value is None else verdict.difference


def _row(config: ConfigSummary, scale: Scale) -> VerdictRow:
    verdict = config.verdict
    return VerdictRow(
        label=config.label if config.fold is None else f"fold {config.fold}",
        fold=config.fold is not None,
        outcome=verdict.outcome,
        sentence=WORDS[verdict.outcome],
        against=" or ".join(words(name) for name in config.best_baseline.split("/")),
        difference=with_interval(_shown(verdict), signed=True),
        kind=_kind(verdict),
        forest=forest(_shown(verdict), scale, config.headline),
        seeds=verdict.seeds,
        trials=whole(config.trials) if config.trials is not None else "unknown",
        warnings=tuple(_warnings(config)),
    )


def _kind(verdict: Verdict) -> str:
    if verdict.difference.value is None:
        return "over episodes alone"
    p = verdict.p_adjusted
    shown = "" if p is None else f"; p {p_value(p)} corrected"
    if verdict.folds:
        return f"over {verdict.folds} folds{shown}"
    return f"over seeds and days together{shown}"


def _count(count: int, noun: str) -> str:
    return f"{whole(count)} {noun}{'' if count == 1 else 's'}"


def _warnings(config: ConfigSummary) -> list[str]:
    found = [config.verdict.reason] if config.verdict.reason else []
    if config.lacks_folds:
        found.append(f"only {len(config.folds)} of {config.folds_planned} folds have results")
    if config.verdict.earned_more:
        names = ", ".join(words(name) for name in config.verdict.earned_more)
        found.append(f"earned more on test: {names}")
    if config.left_out:
        found.append(f"{config.left_out} older runs of the same settings and seed left out")
    return found


def forest(estimate: Estimate, scale: Scale, headline: str) -> Markup:
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
    label = escape(f"{words(headline)} minus the best baseline's: {with_interval(estimate)}")
    return Markup(
        f'<svg class="forest" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )
