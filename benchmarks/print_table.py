"""One table of ratios from benchmarks/results/*.json: what was measured, against what."""

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = tuple[str, str, str]


def main() -> None:
    """Print the table; a benchmark that has left no result has no row."""
    rows = [row for name, rows_of in READERS.items() for row in _rows(name, rows_of)]
    table = [("measured", "result", "processor"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _rows(name: str, rows_of: Any) -> Iterator[Row]:
    path = RESULTS / f"{name}.json"
    if path.exists():
        found = json.loads(path.read_text())
        for what, result in rows_of(found):
            yield what, result, found["machine"]["processor"]


def _learner(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for net, kinds in found["networks"].items():
        for kind, times in kinds.items():
            if kind not in {"sb3", "limit"}:
                what = f"training {net}, {kind}, against stock SB3 SAC"
                yield what, f"x{times['ratio']['processor']:.2f}"


def _sbx(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for net, speeds in found["networks"].items():
        yield f"training {net}, float32, against SBX", f"x{speeds['ratio']['processor']:.2f}"
    yield "training, geometric mean, against SBX", f"x{found['mean_ratio_processor']:.2f}"


def _linearity(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    turns = list(found["milliseconds_per_member_and_turn"].items())
    (few, one), (many, all_of_them) = turns[0], turns[-1]
    yield f"a member's turn, {many} members against {few}", f"x{all_of_them / one:.2f}"
    sections = list(found["milliseconds_per_step_up_to"].items())
    (first, early), (last, late) = sections[0], sections[-1]
    yield f"a step, up to step {int(last):,} against {int(first):,}", f"x{late / early:.2f}"
    short, long = found["months"]["1"], found["months"]["60"]
    for part in ("read", "features", "cached_start"):
        seconds = [months[f"{part}_seconds"] / months["candles"] for months in (long, short)]
        what = f"{part.replace('_', ' ')} per candle, five years against a month"
        yield what, f"x{seconds[0] / seconds[1]:.2f}"
    worker = found["worker"]["12"]
    yield "worker on a year of minutes, data loaded", f"{worker['markets']['processor']} s"
    yield "worker on a year of minutes, memory", f"{worker['megabytes']} MB"


def _matrix(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    ratio = found["processor"]["ratio"]
    yield f"whole matrix, {found['steps']:,} steps, fast against sb3", f"x{ratio:.2f}"


def _kernel(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for episodes, speeds in found["steps_per_second"].items():
        what = f"simulated kernel, {int(episodes):,} episodes, against plain numpy"
        yield what, f"x{speeds['ratio']['processor']:.2f}"


def _environment(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    single = found["single"]
    speed = single["environment_steps_per_second"]
    yield (
        "single environment against a plain loop",
        f"x{single['ratio']:.2f} ({speed:,.0f} steps/s)",
    )
    yield "environments in a batch", f"{found['batch']['steps_per_second']:,.0f} steps/s"


def _evaluation(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "evaluation of 7 policies, 3 segments", f"{found['seconds']['processor']} s"


def _scale(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    runs = max(found["runs"], key=int)
    row, many = found["runs"][runs], f"{int(runs):,} runs"
    yield f"driver of {many}, beside the stages", f"{row['driver_ms_per_run']:.2f} ms per run"
    yield f"status of {many}", f"{row['status_s']:.2f} s"
    yield f"first analysis of {many}", f"{row['analysis_s']:.1f} s"
    yield f"another analysis of {many}", f"{row['analysis_again_s']:.1f} s"


def _learning(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    stock, fast = (
        statistics.mean(curve[-1] for curve in found["scores"][kind]) for kind in ("sb3", "float32")
    )
    settings = found["settings"]
    what = f"{settings.get('market', 'candles')}, {settings['seeds']} seeds, {settings['steps']:,}"
    yield f"learned on {what} steps, fast beside sb3", f"{fast:.2f} beside {stock:.2f}"


READERS = {
    "learner": _learner,
    "sbx": _sbx,
    "linearity": _linearity,
    "matrix": _matrix,
    "matrix_short": _matrix,
    "kernel": _kernel,
    "environment": _environment,
    "evaluation": _evaluation,
    **{
        f"learning_{market}": _learning
        for market in ("candles", "cartea_jaimungal", "avellaneda_stoikov")
    },
    "scale": _scale,
}

if __name__ == "__main__":
    main()
