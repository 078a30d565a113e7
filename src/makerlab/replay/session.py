"""One policy on one tape: decide at each bar's close, rest orders, hear of fills, keep books."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from makerlab.errors import UserError
from makerlab.evaluation.rollout import RECORDED, Trajectories
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import WARM_UP_BARS
from makerlab.market.outside import OutsideMaker
from makerlab.policies import Policy
from makerlab.replay.book import RecordedBook
from makerlab.replay.exchange import Exchange, ExchangeSettings
from makerlab.replay.fills import Fill, explain
from makerlab.replay.tape import Tape

Floats = npt.NDArray[np.float64]

ANSWERS = 3
"""Ways to the exchange and back that the end leaves for the last orders' answers."""


@dataclasses.dataclass(frozen=True)
class Played:
    """What a policy did on the tape: one episode in the evaluation's terms, fills, and actions."""

    trajectories: Trajectories
    actions: Floats
    fills: tuple[Fill, ...]
    orders: int
    rejected: int

    @property
    def reasons(self) -> dict[str, int]:
        """Number of fills by reason."""
        return dict(sorted(Counter(fill.reason for fill in self.fills).items()))


@dataclasses.dataclass(frozen=True)
class Stage:
    """A tape with its bars. `events` are the tape's as delayed for this recorder.

    `close_ns`, (bars,), are the local times of the bars' closes; `own_bar_ms` is the length of the
    bars that the policies learned on.
    """

    tape: Tape
    events: npt.NDArray[Any]
    book: RecordedBook
    market: CandleMarket
    close_ns: npt.NDArray[np.int64]
    own_bar_ms: int

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """The bar at whose close the only episode starts."""
        return np.array([WARM_UP_BARS], np.int64)

    @property
    def steps(self) -> int:
        """Bars in which quotes live."""
        return len(self.close_ns) - 1 - WARM_UP_BARS


def play(stage: Stage, policy: Policy, settings: ExchangeSettings) -> Played:
    """Play a policy from the first warm bar to the last one; raises RuntimeError of hftbacktest."""
    exchange = Exchange(stage.events, settings)
    try:
        return _Session(stage, exchange).play(policy)
    finally:
        exchange.close()


def check_length(stage: Stage, *, path: str, fewest: int) -> None:
    """Raise UserError when the tape leaves fewer bars than that after the warm-up."""
    if stage.steps < fewest:
        step = stage.market.bar_ms / 1000
        raise UserError(
            f"{path}: gives {len(stage.close_ns)} bars of {step:g} s, expected at least "
            f"{WARM_UP_BARS + 1 + fewest} ({WARM_UP_BARS} of them warm up); take a shorter "
            "--step_seconds or a longer capture"
        )


class _Session:
    def __init__(self, stage: Stage, exchange: Exchange) -> None:
        self.stage = stage
        self.exchange = exchange
        self.settings = stage.market.settings
        self.maker = OutsideMaker(stage.market, steps=stage.steps, own_bar_ms=stage.own_bar_ms)
        self.cash = self.settings.initial_cash
        self.inventory = 0.0
        self.fills: list[Fill] = []
        names = (*RECORDED, "inventory", "cash", "equity")
        self.record = {name: np.full((1, stage.steps), np.nan) for name in names}

    def play(self, policy: Policy) -> Played:
        stage, first = self.stage, int(self.stage.starts[0])
        self.maker.restart(first)
        self.exchange.run_until(int(stage.close_ns[first]))
        actions = []
        for step in range(stage.steps):
            action = np.asarray(policy.act(self.maker.observe()), np.float64)[0]
            actions.append(action)
            self._step(step, action)
        return Played(
            trajectories=Trajectories(
                market=stage.market,
                starts=stage.starts,
                start_mid=stage.market.prices.close[stage.starts],
                **self.record,
            ),
            actions=np.array(actions),
            fills=tuple(self.fills),
            orders=len(self.exchange.sent),
            rejected=len(self.exchange.rejected),
        )

    def _step(self, step: int, action: Floats) -> None:
        stage = self.stage
        bar = int(stage.starts[0]) + step + 1
        bid, ask = self.maker.quotes(action)
        limit, wanted = self.settings.max_inventory, self.settings.order_size
        self.exchange.quote(is_buy=True, price=bid, wanted=wanted, room=limit - self.inventory)
        self.exchange.quote(is_buy=False, price=ask, wanted=wanted, room=limit + self.inventory)
        before = len(self.fills)
        self._hear(step, int(stage.close_ns[bar]))
        made = len(self.fills)
        held = self.inventory
        if step == stage.steps - 1 and self.settings.fill.liquidate_at_end:
            self.exchange.flatten(self.inventory)
            wait = ANSWERS * self.exchange.settings.latency_ns + 1
            self._hear(step, int(stage.close_ns[bar]) + wait)
        self._book(step, bar, bid=bid, ask=ask, held=held, made=slice(before, made))

    def _hear(self, step: int, until_ns: int) -> None:
        settings = self.exchange.settings
        for report in self.exchange.run_until(until_ns):
            fill = explain(
                report,
                step=step,
                sent=self.exchange.sent[report.order - 1],
                latency_ns=settings.latency_ns,
                tape=self.stage.tape,
                book=self.stage.book,
            )
            self.fills.append(fill)
            sign = 1.0 if fill.is_buy else -1.0
            self.inventory += sign * fill.quantity
            self.cash -= sign * fill.price * fill.quantity + self._fee(fill)
            if abs(self.inventory) < 0.5 * settings.lot:
                self.inventory = 0.0

    def _fee(self, fill: Fill) -> float:
        settings = self.exchange.settings
        taken = fill.reason == "taken"
        rate = settings.taker_fee_rate if taken else settings.maker_fee_rate
        return rate * fill.price * fill.quantity

    def _book(
        self, step: int, bar: int, *, bid: float, ask: float, held: float, made: slice
    ) -> None:
        """Write one step in the kernel's terms: see market/kernel.py for each."""
        prices = self.stage.market.prices
        mid, close = float(prices.close[bar - 1]), float(prices.close[bar])
        quoted, last = self.fills[made], self.fills[made.stop :]
        bought = [fill for fill in quoted if fill.is_buy]
        sold = [fill for fill in quoted if not fill.is_buy]
        spread = sum(fill.quantity * (mid - fill.price) for fill in bought)
        spread += sum(fill.quantity * (fill.price - mid) for fill in sold)
        # What the end's flattening costs against the close is spread paid.
        spread += sum(
            fill.quantity * (close - fill.price) * (1.0 if fill.is_buy else -1.0) for fill in last
        )
        turnover = sum(fill.quantity * fill.price for fill in (*quoted, *last))
        fees = sum(self._fee(fill) for fill in (*quoted, *last))
        moved = held * (close - mid)
        settings = self.settings
        penalty = settings.lambda_inv * abs(held) * close + settings.lambda_turnover * turnover
        first = float(prices.close[self.stage.starts[0]])
        row = {
            "mid": close,
            "bid": _average(bought, otherwise=bid),
            "ask": _average(sold, otherwise=ask),
            "bid_filled": sum(fill.quantity for fill in bought),
            "ask_filled": sum(fill.quantity for fill in sold),
            "liquidated": sum(f.quantity if f.is_buy else -f.quantity for f in last),
            "fees": fees,
            "turnover": turnover,
            "spread_captured": spread,
            "inventory_profit": moved,
            "reward": 1e4 * (spread + moved - fees - penalty) / (settings.max_inventory * first),
            "inventory": self.inventory,
            "cash": self.cash,
            "equity": self.cash + self.inventory * close,
        }
        for name, value in row.items():
            self.record[name][0, step] = value
        self.maker.told(
            bid=bid,
            ask=ask,
            bought=row["bid_filled"],
            sold=row["ask_filled"],
            inventory=self.inventory,
        )


def _average(fills: list[Fill], *, otherwise: float) -> float:
    """Return the average price of what was filled, or the quote where nothing was."""
    quantity = sum(fill.quantity for fill in fills)
    if quantity == 0.0:
        return otherwise
    return sum(fill.price * fill.quantity for fill in fills) / quantity
