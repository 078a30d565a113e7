"""Every fill of a replay: why it came, where in the queue, and what it was worth later."""

import dataclasses
from typing import Any

import numpy as np

from makerlab.replay.book import RecordedBook
from makerlab.replay.exchange import Report, Sent
from makerlab.replay.tape import Tape

MARKOUT_SECONDS = (1, 5, 15)
THROUGH, QUEUE, CROSSED, TAKEN = "traded_through", "queue_reached", "book_crossed", "taken"
REASONS = (THROUGH, QUEUE, CROSSED, TAKEN)


@dataclasses.dataclass(frozen=True)
class Fill:
    """One execution. Times in ns; quantities in base units; markouts in basis points.

    `queue_ahead` is what stood at the price when the order reached the exchange, `traded_ahead`
    what has traded there from then up to the fill, `still_ahead` the difference: how far from the
    front whoever cancels nobody would still be. NaN for orders that took.
    """

    step: int
    exchange_ns: int
    local_ns: int
    order: int
    is_buy: bool
    price: float
    quantity: float
    reason: str
    waited_ms: float
    queue_ahead: float
    traded_ahead: float
    mid: float
    markouts: tuple[float, ...]

    @property
    def still_ahead(self) -> float:
        """Quantity ahead at the fill if nobody before the order had cancelled."""
        return max(0.0, self.queue_ahead - self.traded_ahead)

    def to_row(self) -> dict[str, Any]:
        """Return the row of the table of fills; NaN becomes an empty cell."""
        numbers = {
            "waited_ms": self.waited_ms,
            "queue_ahead": self.queue_ahead,
            "traded_ahead": self.traded_ahead,
            "still_ahead": self.still_ahead if self.queue_ahead == self.queue_ahead else np.nan,
            "mid": self.mid,
            **{
                f"markout_{seconds}s_bps": value
                for seconds, value in zip(MARKOUT_SECONDS, self.markouts, strict=True)
            },
        }
        return {
            "step": self.step + 1,
            "timestamp": f"{np.datetime64(self.exchange_ns, 'ns').astype('datetime64[ms]')}Z",
            "heard": f"{np.datetime64(self.local_ns, 'ns').astype('datetime64[us]')}Z",
            "order": self.order,
            "side": "bid" if self.is_buy else "ask",
            "price": round(self.price, 10),
            "quantity": round(self.quantity, 10),
            "reason": self.reason,
            **{name: round(value, 10) if value == value else "" for name, value in numbers.items()},
        }


def explain(
    report: Report, *, step: int, sent: Sent, latency_ns: int, tape: Tape, book: RecordedBook
) -> Fill:
    """Return what is to be known of an execution, from the tape alone."""
    arrived = sent.sent_ns + latency_ns
    if report.maker:
        where = book.trade_relative_to(
            is_bid=report.is_buy, price=report.price, ns=report.exchange_ns
        )
        reason = {"through": THROUGH, "at": QUEUE, None: CROSSED}[where]
        ahead = book.quantity_at(is_bid=report.is_buy, price=report.price, ns=arrived)
        traded = book.traded_at(
            sold=report.is_buy, price=report.price, after_ns=arrived, until_ns=report.exchange_ns
        )
        price = report.price
    else:
        reason, ahead, traded = TAKEN, float("nan"), float("nan")
        # The answer names the last level's price; the average is that of the book it walked.
        price = book.take(is_buy=report.is_buy, quantity=report.quantity, ns=report.exchange_ns)
    sign = 1.0 if report.is_buy else -1.0
    later = [_mid_at(tape, report.exchange_ns + s * 1_000_000_000) for s in MARKOUT_SECONDS]
    return Fill(
        step=step,
        exchange_ns=report.exchange_ns,
        local_ns=report.local_ns,
        order=report.order,
        is_buy=report.is_buy,
        price=price,
        quantity=report.quantity,
        reason=reason,
        waited_ms=(report.exchange_ns - arrived) / 1e6,
        queue_ahead=ahead,
        traded_ahead=traded,
        mid=_mid_at(tape, report.exchange_ns),
        markouts=tuple(1e4 * sign * (mid - price) / price for mid in later),
    )


def _mid_at(tape: Tape, ns: int) -> float:
    """Return the mid then, NaN beyond the tape."""
    if ns > tape.mid_ns[-1] or ns < tape.mid_ns[0]:
        return float("nan")
    return float(tape.mid[np.searchsorted(tape.mid_ns, ns, side="right") - 1])
