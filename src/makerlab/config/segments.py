"""How a series of candles is cut into train, validation and test segments."""

import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from makerlab.config.base import NonNegativeInt, PositiveFloat, Settings

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class WalkForwardSettings(Settings):
    """Train, validation and test again and again along the data; docs/walk_forward.md explains."""

    folds: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="Number of folds; 0 means one split and no walk-forward."
    )
    mode: Literal["rolling", "expanding"] = Field(
        "rolling",
        description="Training moves along with the folds, or keeps its first bar and grows.",
    )
    train: Share | None = Field(
        None, description="Share of the bars for the training of a fold (the first, if expanding)."
    )
    valid: Share | None = Field(None, description="Share of the bars for a fold's validation.")
    test: Share | None = Field(None, description="Share of the bars for a fold's test.")
    train_days: PositiveFloat | None = Field(
        None, description="Days for the training of a fold, instead of shares."
    )
    valid_days: PositiveFloat | None = Field(None, description="Days for a fold's validation.")
    test_days: PositiveFloat | None = Field(None, description="Days for a fold's test.")
    purge_bars: NonNegativeInt = Field(
        60,
        description="Last bars of training and of validation that are dropped: as far as an "
        "observation of the next segment could look back.",
    )
    embargo_bars: NonNegativeInt = Field(
        60,
        description="Further bars dropped there, for what still depends on one another beyond it.",
    )

    @property
    def shares(self) -> tuple[float | None, float | None, float | None]:
        """Shares of train, validation and test."""
        return (self.train, self.valid, self.test)

    @property
    def days(self) -> tuple[float | None, float | None, float | None]:
        """Days of train, validation and test."""
        return (self.train_days, self.valid_days, self.test_days)

    @model_validator(mode="after")
    def _check(self) -> "WalkForwardSettings":
        shares = [share for share in self.shares if share is not None]
        days = [length for length in self.days if length is not None]
        if self.folds == 0:
            if shares or days:
                raise ValueError("found lengths without a number of folds; give folds too")
            return self
        if len(shares) + len(days) == 0:
            raise ValueError(
                "found folds without lengths; give train, valid and test as shares of the data, "
                "or train_days, valid_days and test_days"
            )
        if {len(shares), len(days)} != {0, 3}:
            raise ValueError(
                f"found {len(shares)} of the shares train, valid, test and {len(days)} of "
                "train_days, valid_days, test_days; expected all three of one kind"
            )
        if shares:
            self._check_sum(*shares)
        return self

    def _check_sum(self, train: float, valid: float, test: float) -> None:
        needed = train + valid + self.folds * test
        if needed > 1.0 + 1e-9:
            raise ValueError(
                f"train {train:g}, valid {valid:g} and {self.folds} x test {test:g} need "
                f"{needed:g} of the data, expected at most 1"
            )


class DataSplitSettings(Settings):
    """Train, validation and test segments: six dates (UTC), three fractions, or walk-forward."""

    train_start: datetime.date | None = Field(None, description="First day of training.")
    train_end: datetime.date | None = Field(None, description="Last day of training, included.")
    valid_start: datetime.date | None = Field(None, description="First day of validation.")
    valid_end: datetime.date | None = Field(None, description="Last day of validation, included.")
    test_start: datetime.date | None = Field(None, description="First day of test.")
    test_end: datetime.date | None = Field(None, description="Last day of test, included.")
    train: Share | None = Field(None, description="Share of the bars for training.")
    valid: Share | None = Field(None, description="Share of the bars for validation.")
    test: Share | None = Field(None, description="Share of the bars for the test.")
    embargo_bars: NonNegativeInt = Field(
        60,
        description="Bars left out between two segments, taken from the start of the later one; "
        "walk_forward has its own.",
    )
    outside: Literal["error", "fractions"] = Field(
        "error",
        description="When the dates lie outside the data: refuse, or fall back to 70/15/15.",
    )

    walk_forward: WalkForwardSettings = Field(
        default_factory=WalkForwardSettings, description="Many splits along the data."
    )
    fold: NonNegativeInt | None = Field(
        None,
        description="Which fold of walk_forward, from 0; a matrix does all when none is given.",
    )

    @property
    def folds(self) -> tuple[int | None, ...]:
        """The folds to be done: the one given, else all; (None,) without walk-forward."""
        if self.fold is not None or self.walk_forward.folds == 0:
            return (self.fold,)
        return tuple(range(self.walk_forward.folds))

    @property
    def dates(self) -> tuple[datetime.date | None, ...]:
        """The six dates in order of time."""
        return (
            self.train_start,
            self.train_end,
            self.valid_start,
            self.valid_end,
            self.test_start,
            self.test_end,
        )

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Shares of train, validation and test; 70/15/15 when none is given."""
        if self.train is None or self.valid is None or self.test is None:
            return (0.70, 0.15, 0.15)
        return (self.train, self.valid, self.test)

    @property
    def by_date(self) -> bool:
        """Whether the segments are given as dates."""
        return all(date is not None for date in self.dates)

    @model_validator(mode="after")
    def _check(self) -> "DataSplitSettings":
        shares = (self.train, self.valid, self.test)
        given_dates = [date for date in self.dates if date is not None]
        given_shares = [share for share in shares if share is not None]
        self._check_fold(bool(given_dates or given_shares))
        if given_dates and given_shares:
            raise ValueError("give dates or fractions, not both")
        if given_dates and len(given_dates) < 6:
            raise ValueError(f"found {len(given_dates)} of the six dates, expected all or none")
        if given_shares and len(given_shares) < 3:
            raise ValueError(f"found {len(given_shares)} of the three fractions, expected all")
        if given_shares and sum(given_shares) > 1.0 + 1e-9:
            raise ValueError(f"the fractions add up to {sum(given_shares):g}, expected at most 1")
        if given_dates:
            self._check_order(given_dates)
        return self

    def _check_fold(self, one_split: bool) -> None:
        folds = self.walk_forward.folds
        if folds == 0:
            if self.fold is not None:
                raise ValueError(
                    f"fold {self.fold} is chosen and there are none; give walk_forward.folds"
                )
            return
        if one_split:
            raise ValueError("give walk_forward, or dates or fractions of one split, not both")
        if self.embargo_bars != DataSplitSettings.model_fields["embargo_bars"].default:
            raise ValueError(
                f"embargo_bars {self.embargo_bars} is that of one split; give "
                "walk_forward.embargo_bars"
            )
        if self.fold is not None and self.fold >= folds:
            raise ValueError(f"fold is {self.fold}, expected 0 to {folds - 1}")

    @staticmethod
    def _check_order(dates: list[datetime.date]) -> None:
        for start, end in zip(dates[0::2], dates[1::2], strict=True):
            if start > end:
                raise ValueError(f"a segment starts {start} after it ends {end}")
        for end, start in zip(dates[1:-1:2], dates[2::2], strict=True):
            if start <= end:
                raise ValueError(f"a segment starts {start} before the one before it ends {end}")
