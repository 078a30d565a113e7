"""A calibration as a table for the terminal and as YAML for a config."""

from collections.abc import Iterator

import numpy as np
from tabulate import tabulate

from makerlab.calibration.calibrate import SIDES, Calibration, Fit
from makerlab.calibration.intensity import Intensity, Interval
from makerlab.calibration.windows import NANOSECONDS

_HEADERS = ("window", "side", "A per s", "k per bp", "reached", "k sigma sqrt(W)")


def table(calibration: Calibration) -> str:
    """Return all fits, the rolling ones and what to beware of."""
    head = f"{calibration.source} (sha256 {calibration.sha256[:8]}), {_span(calibration.fits[0])}"
    fit = calibration.fits[0]
    method = (
        f"maximum likelihood, rule {calibration.rule}, distances {fit.nearest_bps:.3g} to "
        f"{fit.farthest_bps:.3g} bp, {100 * calibration.confidence:g} % intervals (of independent "
        "windows)"
    )
    rows = [row for fit in calibration.fits for row in _rows(f"{fit.windows.seconds:g} s", fit)]
    rolling = [row for fit in calibration.rolling for row in _rows(_span(fit), fit)]
    parts = [head, method, tabulate(rows, headers=_HEADERS)]
    title = f"Rolling, windows of {fit.windows.seconds:g} s"
    parts += ["", title, tabulate(rolling, headers=("span (UTC)", *_HEADERS[1:]))]
    return "\n".join([*parts, *(f"warning: {line}" for line in calibration.warnings)])


def to_yaml(calibration: Calibration, *, name: str) -> str:
    """Return the first fit as settings of `env.fill`, with where it comes from as comments."""
    fit = calibration.fits[0]
    bid, ask = fit.sides["bid"], fit.sides["ask"]
    assert bid is not None and ask is not None
    comments = [
        "Fills by chance at A exp(-k d): A fills per second at the mid, k per basis point of d.",
        f"A config takes these settings with `include: [{name}]`; its own keys win over them.",
        f"source: {calibration.source}",
        f"sha256: {calibration.sha256}",
        f"span: {_span(fit)}, {len(fit.windows)} windows of {fit.windows.seconds:g} s",
        f"method: maximum likelihood, rule {calibration.rule}, distances {fit.nearest_bps:.6g} to "
        f"{fit.farthest_bps:.6g} bp, intervals of {100 * calibration.confidence:g} %",
        *(f"{side}: {_sentence(fit.sides[side])}" for side in SIDES),
        *_rolling_lines(calibration),
        *(f"warning: {line}" for line in calibration.warnings),
    ]
    settings = {
        "rule": "calibrated_intensity",
        "bid_intensity": f"{bid.intensity.value:.6g}",
        "bid_decay": f"{bid.decay.value:.6g}",
        "ask_intensity": f"{ask.intensity.value:.6g}",
        "ask_decay": f"{ask.decay.value:.6g}",
    }
    lines = [f"# {line}" for line in comments] + ["env:", "  fill:"]
    return "\n".join([*lines, *(f"    {key}: {text}" for key, text in settings.items())]) + "\n"


def _rolling_lines(calibration: Calibration) -> Iterator[str]:
    for fit in calibration.rolling:
        for side in ("bid", "ask"):
            yield f"rolling {_span(fit)}, {side}: {_sentence(fit.sides[side])}"


def _rows(label: str, fit: Fit) -> Iterator[tuple[str, ...]]:
    share = fit.volatility_share
    for side in SIDES:
        found = fit.sides[side]
        last = f"{share:.2f}" if side == "both" and share is not None else ""
        if found is None:
            yield label, side, "-", "-", "too few", last
        else:
            reached = f"{found.reached} of {found.windows}"
            yield label, side, _interval(found.intensity), _interval(found.decay), reached, last


def _sentence(found: Intensity | None) -> str:
    if found is None:
        return "too few trades"
    return f"A {_interval(found.intensity)}, k {_interval(found.decay)}"


def _interval(found: Interval) -> str:
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"


def _span(fit: Fit) -> str:
    start = int(fit.windows.start_ns[0])
    stop = int(fit.windows.start_ns[-1]) + round(fit.windows.seconds * NANOSECONDS)
    first, last = (
        str(np.datetime64(round(at / 1e9), "s")).replace("T", " ") for at in (start, stop)
    )
    return f"{first} to {last}"
