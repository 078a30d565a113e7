"""Orders on a recorded book: hftbacktest decides, this asks and listens.

Everything that touches hftbacktest is here. Its exchange fills a resting order that the market
trades through or whose price the other side's best reaches, and one at whose price it trades when
the queue before it, as the queue model sees it, is gone.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from makerlab.errors import UserError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

INSTALL = ".venv/bin/python -m pip install -c constraints.txt -e '.[replay]'"

QUEUE_MODELS: dict[str, Callable[[Any], Any]] = {
    "risk_adverse": lambda asset: asset.risk_adverse_queue_model(),
    "log_prob": lambda asset: asset.log_prob_queue_model(),
    "log_prob2": lambda asset: asset.log_prob_queue_model2(),
    "power_prob": lambda asset: asset.power_prob_queue_model(3.0),
    "power_prob2": lambda asset: asset.power_prob_queue_model2(3.0),
    "power_prob3": lambda asset: asset.power_prob_queue_model3(3.0),
}
EXCHANGES: dict[str, Callable[[Any], Any]] = {
    "partial_fill": lambda asset: asset.partial_fill_exchange(),
    "whole_fill": lambda asset: asset.no_partial_fill_exchange(),
}

_LIVE = 64
"""Orders that may be under way at once; one a side and step unless they outlive many steps."""


class Report(NamedTuple):
    """One execution as the exchange answered it; times in ns, quantity in base units."""

    order: int
    is_buy: bool
    maker: bool
    price: float
    quantity: float
    exchange_ns: int
    local_ns: int


class Sent(NamedTuple):
    """One order as it left; a market order has a price of 0."""

    order: int
    is_buy: bool
    price: float
    quantity: float
    sent_ns: int


@dataclasses.dataclass(frozen=True)
class ExchangeSettings:
    """How the exchange and the way to it are modelled."""

    queue: str
    exchange: str
    latency_ns: int
    maker_fee_rate: float
    taker_fee_rate: float
    tick: float
    lot: float


def load_hftbacktest() -> Any:
    """Import hftbacktest; raises UserError saying how to install it."""
    try:
        import hftbacktest
    except ModuleNotFoundError as error:
        if error.name != "hftbacktest":
            raise
        raise UserError(
            f"a replay needs hftbacktest, which is not installed; install it: {INSTALL}"
        ) from None
    return hftbacktest


class Exchange:
    """A session on one recorded book, from its first event on."""

    def __init__(self, events: npt.NDArray[Any], settings: ExchangeSettings) -> None:
        """Load the events; raises UserError when hftbacktest is missing."""
        library = load_hftbacktest()
        from makerlab.replay import orders

        self._orders = orders
        self.settings = settings
        asset = library.BacktestAsset().data(events).linear_asset(1.0)
        asset = asset.constant_order_latency(settings.latency_ns, settings.latency_ns)
        asset = EXCHANGES[settings.exchange](QUEUE_MODELS[settings.queue](asset))
        asset = asset.trading_value_fee_model(settings.maker_fee_rate, settings.taker_fee_rate)
        asset = asset.tick_size(settings.tick).lot_size(settings.lot)
        # The events' memory must outlive the session: hftbacktest keeps its address alone.
        self._kept = (events, asset)
        self._session = library.HashMapMarketDepthBacktest([asset])
        self._live = orders.new_live(_LIVE)
        self._next = 1
        self.sent: list[Sent] = []
        self.rejected: set[int] = set()
        orders.start(self._session)

    def close(self) -> None:
        """Free the session."""
        self._session.close()

    def run_until(self, local_ns: int) -> list[Report]:
        """Let time pass to a local time; returns the executions that were heard of by then."""
        heard = self._orders.new_heard()
        settings = self.settings
        self._orders.run_until(self._session, self._live, heard, local_ns, settings.tick)
        executions, rejects = map(int, heard.counts)
        self.rejected.update(map(int, heard.rejected[:rejects]))
        reports = [
            Report(*(column[at].item() for column in heard[: len(Report._fields)]))
            for at in range(executions)
        ]
        # Undoes what `_submit` shaves off.
        lots = [round(report.quantity / settings.lot) for report in reports]
        return [
            report._replace(quantity=count * settings.lot)
            for report, count in zip(reports, lots, strict=True)
            if count
        ]

    def quote(self, *, is_buy: bool, price: float, wanted: float, room: float) -> bool:
        """Have one post-only order rest at a price; returns whether one rests or is on its way.

        An order that rests there already keeps its place. Any other of this side is cancelled, and
        a new one is sent at once: of `wanted`, or of as much as the `room` leaves when the orders
        still under way should all be filled. An infinite price cancels alone.
        """
        settings = self.settings
        ticks = 0
        if np.isfinite(price):
            # Rounded away from the mid, so that rounding never improves on what was wanted.
            exact = price / settings.tick
            ticks = int(np.floor(exact + 1e-6)) if is_buy else int(np.ceil(exact - 1e-6))
        kept, exposed = self._orders.cancel_others(self._session, self._live, is_buy, ticks)
        if ticks <= 0 or kept:
            return bool(kept)
        lots = int(np.floor(min(wanted, room - exposed) / settings.lot + 1e-6))
        if lots > 0:
            self._submit(is_buy, ticks, lots * settings.lot)
        return lots > 0

    def flatten(self, position: float) -> None:
        """Cancel everything and send a market order against the position."""
        for is_buy in (True, False):
            self._orders.cancel_others(self._session, self._live, is_buy, 0)
        lots = round(abs(position) / self.settings.lot)
        if lots > 0:
            self._submit(position < 0.0, 0, lots * self.settings.lot)

    @property
    def account(self) -> tuple[float, float, float]:
        """Position, balance before fees, and fees, as hftbacktest keeps them itself.

        Right with `whole_fill` alone: of an order filled in parts, 2.4.4 books the last (its issue
        316), which is why a replay keeps its own books from what each order has left.
        """
        values = self._session.state_values(0)
        return float(values.position), float(values.balance), float(values.fee)

    def _submit(self, is_buy: bool, ticks: int, quantity: float) -> None:
        number, tick = self._next, self.settings.tick
        self._next += 1
        # hftbacktest 2.4.4 keeps an order that a trade fills to the last lot and fails at the next
        # trade (its issue 312); short of a thousandth of a lot, no trade fills one exactly.
        asked = quantity - 1e-3 * self.settings.lot
        self._orders.submit(self._session, self._live, number, is_buy, ticks, tick, asked)
        sent_ns = int(self._session.current_timestamp)
        self.sent.append(Sent(number, is_buy, ticks * tick, quantity, sent_ns))
