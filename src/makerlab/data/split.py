"""Train, validation and test segments of one series of candles, and where episodes may start."""

import dataclasses
import datetime
import itertools
from typing import Any, Literal

import numpy as np

from makerlab.config.segments import DataSplitSettings
from makerlab.data.candles import Candles
from makerlab.data.rows import Int64, iso
from makerlab.data.walk_forward import fold_bounds
from makerlab.errors import UserError

SegmentName = Literal["train", "valid", "test"]
SEGMENT_NAMES: tuple[SegmentName, ...] = ("train", "valid", "test")
_DAY_MS = 86_400_000


@dataclasses.dataclass(frozen=True)
class Segment:
    """Bars start..stop-1 of the candles."""

    name: SegmentName
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclasses.dataclass(frozen=True)
class Split:
    """The three segments, disjoint and in order of time.

    `fallback` is the sentence to show when dates outside the data made way for fractions;
    `walk_forward` says which fold of which plan it is.
    """

    train: Segment
    valid: Segment
    test: Segment
    fallback: str | None = None
    walk_forward: dict[str, Any] | None = None

    @property
    def segments(self) -> tuple[Segment, Segment, Segment]:
        """Train, validation and test in order."""
        return (self.train, self.valid, self.test)

    def to_dict(self, candles: Candles) -> dict[str, Any]:
        """Return the manifest's record: half-open UTC ranges and bar counts per segment."""
        record: dict[str, Any] = {
            segment.name: {
                "start": iso(candles.ts_ms[segment.start]),
                "end": iso(candles.ts_ms[segment.stop - 1] + candles.bar_ms),
                "bars": len(segment),
            }
            for segment in self.segments
        }
        return record | {"fallback": self.fallback, "walk_forward": self.walk_forward}


def split_candles(candles: Candles, settings: DataSplitSettings, *, minimum_bars: int = 2) -> Split:
    """Cut candles into train, validation and test by dates, by fractions or for a fold.

    Dates are UTC days, the end day included. At least `embargo_bars` bars lie between the end of
    a segment and the start of the next. Raises UserError for a date on which there are no data
    (or falls back to fractions when `outside` says so), for a walk-forward without a chosen fold
    or longer than the data, and for a segment of fewer than `minimum_bars` bars.
    """
    if settings.walk_forward.folds:
        return _fold(candles, settings, minimum_bars=minimum_bars)
    outside = _outside(candles, settings) if settings.by_date else None
    if outside is not None and settings.outside == "error":
        raise UserError(f"{candles.source.path}: {outside}")
    if settings.by_date and outside is None:
        bounds, fallback = _date_bounds(candles.ts_ms, settings), None
    else:
        bounds, fallback = _fraction_bounds(len(candles), settings), _fallback(outside, settings)
    train, valid, test = _with_embargo(bounds, settings.embargo_bars)
    for segment in (train, valid, test):
        _check_length(segment, candles, minimum_bars=minimum_bars)
    return Split(train, valid, test, fallback=fallback)


def split_whole(length: int, settings: DataSplitSettings) -> tuple[Segment, Segment, Segment]:
    """Cut 0..length-1 into train, validation and test by fractions, with the embargo."""
    train, valid, test = _with_embargo(_fraction_bounds(length, settings), settings.embargo_bars)
    return train, valid, test


def _fold(candles: Candles, settings: DataSplitSettings, *, minimum_bars: int) -> Split:
    plan = settings.walk_forward
    bounds = zip(SEGMENT_NAMES, fold_bounds(candles, settings), strict=True)
    train, valid, test = (Segment(name, *ends) for name, ends in bounds)
    for segment in (train, valid, test):
        if len(segment) < max(minimum_bars, 1):
            raise UserError(
                f"{candles.source.path}: data_split.walk_forward leaves {len(segment)} bars for "
                f"the {segment.name} segment of fold {settings.fold} after purge_bars "
                f"{plan.purge_bars} and embargo_bars {plan.embargo_bars}, expected at least "
                f"{minimum_bars}; the data hold {len(candles)} bars, {_span(candles)}"
            )
    record = {"fold": settings.fold, **plan.model_dump(mode="json")}
    return Split(train, valid, test, walk_forward=record)


def contiguous_starts(ts_ms: Int64, bar_ms: int, *, length: int) -> Int64:
    """Return every i, ascending, for which bars i..i+length-1 exist and no gap lies among them."""
    if length < 1:
        raise ValueError(f"length is {length}, expected at least 1")
    if length > len(ts_ms):
        return np.empty(0, dtype=np.int64)
    gaps_before = np.concatenate([[0], np.cumsum(np.diff(ts_ms) != bar_ms)])
    unbroken = gaps_before[length - 1 :] == gaps_before[: len(ts_ms) - length + 1]
    return np.flatnonzero(unbroken).astype(np.int64)


def _date_bounds(ts_ms: Int64, settings: DataSplitSettings) -> list[tuple[int, int]]:
    days = [_day_ms(date) for date in settings.dates if date is not None]
    return [
        (int(np.searchsorted(ts_ms, start)), int(np.searchsorted(ts_ms, end + _DAY_MS)))
        for start, end in zip(days[0::2], days[1::2], strict=True)
    ]


def _fraction_bounds(bars: int, settings: DataSplitSettings) -> list[tuple[int, int]]:
    shares = np.cumsum([0.0, *settings.fractions])
    # 0.7 + 0.15 + 0.15 may add up to a hair below 1; the last bar is not lost to rounding.
    cuts = [min(bars, int(share * bars + 1e-6)) for share in shares]
    return list(itertools.pairwise(cuts))


def _with_embargo(bounds: list[tuple[int, int]], embargo_bars: int) -> list[Segment]:
    """Move a start only as far as needed; dates that leave enough room are kept."""
    segments: list[Segment] = []
    earliest = 0
    for name, (start, stop) in zip(SEGMENT_NAMES, bounds, strict=True):
        segments.append(Segment(name, min(max(start, earliest), stop), stop))
        earliest = stop + embargo_bars
    return segments


def _outside(candles: Candles, settings: DataSplitSettings) -> str | None:
    """Describe the first date on which the data have no bar yet or no bar any more."""
    first_day = int(candles.ts_ms[0]) // _DAY_MS * _DAY_MS
    for key in ("train_start", "train_end", "valid_start", "valid_end", "test_start", "test_end"):
        date = getattr(settings, key)
        if not first_day <= _day_ms(date) <= int(candles.ts_ms[-1]):
            return f"data_split.{key} {date} lies outside the data, {_span(candles)}"
    return None


def _fallback(outside: str | None, settings: DataSplitSettings) -> str | None:
    if outside is None:
        return None
    shares = " / ".join(f"{100 * share:g}" for share in settings.fractions)
    return f"{outside}; split by fractions {shares} instead"


def _check_length(segment: Segment, candles: Candles, *, minimum_bars: int) -> None:
    if len(segment) >= max(minimum_bars, 1):
        return
    raise UserError(
        f"{candles.source.path}: data_split leaves {len(segment)} bars for the "
        f"{segment.name} segment after the embargo, expected at least {minimum_bars}; the data "
        f"hold {len(candles)} bars, {_span(candles)}"
    )


def _span(candles: Candles) -> str:
    return f"{iso(candles.ts_ms[0])} to {iso(candles.ts_ms[-1] + candles.bar_ms)}"


def _day_ms(date: datetime.date) -> int:
    return (date - datetime.date(1970, 1, 1)).days * _DAY_MS


def slice_days(candles: Candles, *, since: str | None, until: str | None) -> Candles:
    """Return the bars from the first day to before the last, UTC; all where None.

    Raises UserError for what is no date.
    """
    bounds = [0, len(candles)]
    for place, text in enumerate((since, until)):
        if text is not None:
            try:
                day = datetime.date.fromisoformat(text)
            except ValueError:
                raise UserError(f"found '{text}', expected a date such as 2024-12-31") from None
            bounds[place] = int(np.searchsorted(candles.ts_ms, _day_ms(day)))
    return candles.slice(bounds[0], max(bounds))
