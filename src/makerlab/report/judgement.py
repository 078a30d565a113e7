"""The columns in which the tables say how far to believe a run or a config."""

import dataclasses
from collections.abc import Mapping, Sequence

from makerlab.report.by_config import ConfigSummary, Standing
from makerlab.report.evidence import NO_EVIDENCE, Evidence, Overfitting

Cell = str | int | float | None

_EVIDENCE = (
    "inference_period",
    "test_periods",
    "test_sharpe_per_period",
    "test_sharpe_per_period_annualised",
    "test_psr",
    "test_deflated_sharpe",
    "deflated_sharpe_hurdle",
    "trials_behind",
    "test_min_track_record",
)
_NAMES = tuple(field.name for field in dataclasses.fields(Evidence))
_TOGETHER = ("pbo", "pbo_note", "verdict_on_test", "verdict_p", "verdict_level", "verdict_note")

JUDGEMENT = (*_EVIDENCE, *_TOGETHER)
NO_JUDGEMENT: list[Cell] = [None] * len(JUDGEMENT)


def judgement(evidence: Evidence, config: ConfigSummary | None) -> list[Cell]:
    """Return the cells of JUDGEMENT: Sharpe ratios of a run or config, the verdict on its config.

    An infinite track record is `inf`. Without a config (an older run of the same settings and
    seed) there is no verdict.
    """
    numbers: list[Cell] = [getattr(evidence, name) for name in _NAMES]
    if config is None:
        return numbers + [None] * len(_TOGETHER)
    found, verdict = config.group.overfitting, config.verdict
    numbers += [found.probability, overfitting_note(found), verdict.outcome, verdict.p_adjusted]
    return [*numbers, verdict.level, verdict.reason]


def judgements_of(standings: Sequence[Standing]) -> Mapping[str, list[Cell]]:
    """Return the cells of JUDGEMENT of every ranked run, by path."""
    found: dict[str, list[Cell]] = {}
    for group, configs in standings:
        config_of = {run.path: config for config in configs for run in config.runs}
        for run in group.records:
            evidence = configs[0].group.runs.get(run.path, NO_EVIDENCE)
            found[run.path] = judgement(evidence, config_of.get(run.path))
    return found


def overfitting_sentence(found: Overfitting) -> str:
    """Return the probability of overfitting in words, with what it is made of."""
    shown = "not known" if found.probability is None else f"{found.probability:.2f}"
    return f"Probability of backtest overfitting: {shown} ({overfitting_note(found)})."


def overfitting_note(found: Overfitting) -> str:
    """Return what the probability of overfitting is made of, or why there is none."""
    if found.reason is not None:
        return found.reason
    return f"{found.candidates} runs over {found.periods} {found.period}s in {found.blocks} blocks"
