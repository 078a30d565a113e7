"""Orders on a recorded book: fills that must come, fills that must not, books that balance."""

import dataclasses
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.made_up_captures import START_MS, Line, at, snapshot, text_of, trade, walking_capture

from makerlab.config import EnvSettings
from makerlab.data.read_capture import read_capture
from makerlab.data.split import Segment
from makerlab.evaluation.metrics import episode_sums
from makerlab.market.episodes import CandleMarket
from makerlab.policies.baselines import FixedSymmetric, InventorySkew
from makerlab.policies.simple import RandomQuotes
from makerlab.replay.bars import bars_of_tape
from makerlab.replay.book import RecordedBook
from makerlab.replay.compare import on_candles
from makerlab.replay.exchange import EXCHANGES, QUEUE_MODELS, Exchange, ExchangeSettings, Report
from makerlab.replay.fills import TAKEN
from makerlab.replay.session import Played, Stage, play
from makerlab.replay.tape import Tape, make_tape

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hftbacktest") is None, reason="hftbacktest is not installed"
)

SECOND = 1_000_000_000
SETTINGS = ExchangeSettings(
    queue="risk_adverse",
    exchange="partial_fill",
    latency_ns=10_000_000,
    maker_fee_rate=0.0001,
    taker_fee_rate=0.0005,
    tick=0.1,
    lot=0.001,
)


def tape_of(folder: Path, lines: Iterable[Line]) -> Tape:
    path = folder / "capture"
    path.write_text(text_of(lines))
    return make_tape(read_capture(path))


def still_book(trades: list[tuple[int, str, str, bool]]) -> list[Line]:
    """Return a book that stands at 99.9 (5) and 100.1 (5), with (ms, price, quantity, sold)."""
    bids, asks = [("99.9", "5"), ("99.8", "5")], [("100.1", "5"), ("100.2", "5")]
    lines = [(at(0), snapshot(0, 1, bids=bids, asks=asks))]
    lines += [
        (at(ms), trade(ms, number, price, quantity, sold=sold))
        for number, (ms, price, quantity, sold) in enumerate(trades)
    ]
    # The end of the tape, far from any quote's price.
    return [*lines, (at(60_000), trade(60_000, 999, "100.0", "0.001", sold=True))]


def one_bid(
    folder: Path,
    trades: list[tuple[int, str, str, bool]],
    *,
    price: float = 99.9,
    quantity: float = 1.0,
    **changes: Any,
) -> list[Report]:
    """Send one bid at 1 s and return what came of it."""
    lines = [*still_book(trades)]
    lines.insert(1, (at(1), _depth_heartbeat()))
    tape = tape_of(folder, lines)
    exchange = Exchange(tape.events, dataclasses.replace(SETTINGS, **changes))
    exchange.run_until((START_MS + 1000) * 1_000_000)
    exchange.quote(is_buy=True, price=price, wanted=quantity, room=10.0)
    reports = exchange.run_until((START_MS + 50_000) * 1_000_000)
    exchange.close()
    return reports


def _depth_heartbeat() -> dict[str, Any]:
    from tests.made_up_captures import depth

    return depth(1, 2, 2, 1, bids=[("99.8", "5")])


def test_a_trade_through_the_price_fills_whole_at_the_own_price(tmp_path: Path) -> None:
    (fill,) = one_bid(tmp_path, [(2000, "99.8", "0.01", True)])
    assert (fill.price, fill.quantity, fill.maker) == (pytest.approx(99.9), 1.0, True)
    assert fill.exchange_ns == (START_MS + 2000) * 1_000_000
    assert fill.local_ns == fill.exchange_ns + SETTINGS.latency_ns


def test_trades_at_the_price_reach_the_order_when_the_queue_before_it_is_gone(
    tmp_path: Path,
) -> None:
    assert one_bid(tmp_path, [(2000, "99.9", "5", True)]) == []
    (fill,) = one_bid(tmp_path, [(2000, "99.9", "4", True), (3000, "99.9", "1.4", True)])
    assert fill.quantity == pytest.approx(0.4)
    (whole,) = one_bid(tmp_path, [(2000, "99.9", "5.4", True)], exchange="whole_fill")
    assert whole.quantity == pytest.approx(1.0)


def test_an_order_filled_to_its_last_lot_is_gone_and_the_replay_goes_on(tmp_path: Path) -> None:
    """Where hftbacktest 2.4.4 itself would stop with an error."""
    trades = [(2000, "99.9", "5.5", True), (3000, "99.9", "0.5", True), (4000, "99.9", "9", True)]
    assert [fill.quantity for fill in one_bid(tmp_path, trades)] == pytest.approx([0.5, 0.5])


def test_buyers_and_higher_prices_fill_no_bid(tmp_path: Path) -> None:
    trades = [(2000, "99.9", "50", False), (3000, "100.0", "50", True)]
    assert one_bid(tmp_path, trades) == []


def test_a_bid_that_would_take_is_rejected(tmp_path: Path) -> None:
    assert one_bid(tmp_path, [(2000, "99.0", "50", True)], price=100.1) == []


def test_who_arrives_later_is_filled_by_no_more_trades(tmp_path: Path) -> None:
    """One order, one trade through it at 2 s: filled at every latency that is short enough."""
    filled = [
        len(one_bid(tmp_path, [(2000, "99.8", "1", True)], latency_ns=latency * 1_000_000))
        for latency in (0, 10, 500, 999, 1001, 5000)
    ]
    assert filled == [1, 1, 1, 1, 0, 0]


def test_a_later_arrival_waits_behind_whoever_came_before_it(tmp_path: Path) -> None:
    from tests.made_up_captures import depth

    lines = still_book([(3000, "99.9", "6", True)])
    lines.insert(1, (at(1500), depth(1500, 2, 2, 1, bids=[("99.9", "9")])))
    tape = tape_of(tmp_path, lines)
    quantities = []
    for latency in (10, 800):
        settings = dataclasses.replace(SETTINGS, latency_ns=latency * 1_000_000)
        exchange = Exchange(tape.events, settings)
        exchange.run_until((START_MS + 1000) * 1_000_000)
        exchange.quote(is_buy=True, price=99.9, wanted=1.0, room=10.0)
        heard = exchange.run_until((START_MS + 50_000) * 1_000_000)
        quantities.append(sum(report.quantity for report in heard))
        exchange.close()
    assert quantities == [pytest.approx(1.0), 0]


def stage_of(folder: Path, *, seed: int = 3, market: str = "usdm", **changes: Any) -> Stage:
    lines = walking_capture(160, seed=seed, market=market)
    tape = tape_of(folder, lines)
    bars = bars_of_tape(tape, step_ns=SECOND, delay_ns=0, path="made up", sha256="0" * 64)
    env = EnvSettings(
        base_spread_bps=15, order_size=0.5, max_inventory=1.0, fee_rate=0.0001, **changes
    )
    count = len(bars) - 2
    return Stage(
        tape=tape,
        events=tape.events,
        book=RecordedBook(tape),
        market=CandleMarket(bars, Segment("test", 0, count), env),
        close_ns=(bars.ts_ms * 1_000_000 + SECOND)[:count],
        own_bar_ms=60_000,
    )


POLICIES = {"random": lambda: RandomQuotes(seed=1, actions=2), "skew": InventorySkew}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return stage_of(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module", params=sorted(EXCHANGES))
def played(request: pytest.FixtureRequest, stage: Stage) -> Played:
    settings = dataclasses.replace(SETTINGS, exchange=request.param)
    return play(stage, RandomQuotes(seed=1, actions=2), settings)


def test_money_is_conserved_at_every_step(played: Played) -> None:
    steps = played.trajectories
    equity, mid = steps.equity[0], steps.mid[0]
    np.testing.assert_allclose(equity, steps.cash[0] + steps.inventory[0] * mid, rtol=1e-12)
    change = np.diff(np.concatenate([[100_000.0], equity]))
    explained = steps.spread_captured + steps.inventory_profit - steps.fees
    np.testing.assert_allclose(change, explained[0], atol=1e-7)


def test_the_steps_are_the_sum_of_the_fills(played: Played) -> None:
    steps = played.trajectories
    assert len(played.fills) > 10
    made = [fill for fill in played.fills if fill.reason != TAKEN]
    bought = sum(fill.quantity for fill in made if fill.is_buy)
    assert np.nansum(steps.bid_filled) == pytest.approx(bought)
    cash = 100_000.0
    for fill in played.fills:
        rate = SETTINGS.taker_fee_rate if fill.reason == TAKEN else SETTINGS.maker_fee_rate
        sign = 1.0 if fill.is_buy else -1.0
        cash -= fill.price * fill.quantity * (sign + rate)
    assert steps.cash[0, -1] == pytest.approx(cash)
    assert steps.inventory[0, -1] == 0.0
    sums = episode_sums(steps)
    assert sums["profit"][0] == pytest.approx(cash - 100_000.0)
    assert sums["fees"][0] == pytest.approx(np.nansum(steps.fees))


def test_our_books_are_hftbacktests_where_its_own_are_right(stage: Stage) -> None:
    settings = dataclasses.replace(SETTINGS, exchange="whole_fill")
    exchange = Exchange(stage.events, settings)
    position = balance = fee = 0.0
    for bar, close in enumerate(stage.close_ns[60:]):
        mid = stage.market.prices.close[60 + bar]
        exchange.quote(is_buy=True, price=mid - 0.1, wanted=0.5, room=1.0 - position)
        exchange.quote(is_buy=False, price=mid + 0.1, wanted=0.5, room=1.0 + position)
        for report in exchange.run_until(int(close) + SECOND):
            sign = 1.0 if report.is_buy else -1.0
            position += sign * report.quantity
            balance -= sign * report.quantity * report.price
            fee += SETTINGS.maker_fee_rate * report.quantity * report.price
    theirs = exchange.account
    exchange.close()
    # Each order is a thousandth of a lot short; see Exchange._submit.
    short = 1e-3 * SETTINGS.lot * len(exchange.sent)
    assert balance != 0.0
    assert theirs[0] == pytest.approx(position, abs=short)
    assert theirs[1] == pytest.approx(balance, abs=short * 101.0)
    assert theirs[2] == pytest.approx(fee, abs=short)


def test_the_position_never_passes_its_limit(stage: Stage) -> None:
    slow = dataclasses.replace(SETTINGS, latency_ns=700_000_000)
    for settings in (SETTINGS, slow):
        steps = play(stage, FixedSymmetric(), settings).trajectories
        assert np.nanmax(np.abs(steps.inventory)) <= 1.0 + 1e-9


@pytest.mark.parametrize("queue", sorted(QUEUE_MODELS))
def test_the_same_replay_is_the_same_to_the_bit(stage: Stage, queue: str) -> None:
    settings = dataclasses.replace(SETTINGS, queue=queue)
    one = play(stage, RandomQuotes(seed=1, actions=2), settings)
    other = play(stage, RandomQuotes(seed=1, actions=2), settings)
    assert repr(one.fills) == repr(other.fills)
    for name in ("equity", "bid", "reward"):
        one_array, other_array = (getattr(p.trajectories, name) for p in (one, other))
        np.testing.assert_array_equal(one_array, other_array)


def test_nobody_is_nearer_the_front_than_with_a_model_in_which_nobody_cancels(
    stage: Stage,
) -> None:
    """Until the first fill, the same orders rest; the pessimist's first is never the earlier."""
    firsts = {}
    for queue in sorted(QUEUE_MODELS):
        fills = play(stage, FixedSymmetric(), dataclasses.replace(SETTINGS, queue=queue)).fills
        firsts[queue] = fills[0].exchange_ns
    assert firsts["risk_adverse"] == max(firsts.values())


def test_fills_say_why_they_came_and_where_in_the_queue(played: Played, stage: Stage) -> None:
    for fill in played.fills:
        if fill.reason == TAKEN:
            continue
        assert fill.waited_ms >= 0.0
        assert fill.queue_ahead >= 0.0
        same = (stage.tape.trade_exchange_ns == fill.exchange_ns) & (
            stage.tape.trade_sold == fill.is_buy
        )
        beyond = (stage.tape.trade_price[same] - fill.price) * (1.0 if fill.is_buy else -1.0)
        expected = {
            "traded_through": (beyond < -1e-9).any(),
            "queue_reached": (np.abs(beyond) < 1e-9).any() and not (beyond < -1e-9).any(),
            "book_crossed": not (beyond < 1e-9).any(),
        }
        assert expected[fill.reason], fill
        if fill.reason == "queue_reached":
            # With the pessimist's queue, what stood ahead has traded before the order's turn.
            assert fill.traded_ahead > fill.queue_ahead - 1e-9


def test_the_candle_model_gets_the_same_quotes(stage: Stage, played: Played) -> None:
    candles = on_candles(stage, played)
    unfilled = (played.trajectories.bid_filled == 0.0) & (candles.bid_filled == 0.0)
    assert unfilled.any()
    np.testing.assert_array_equal(candles.bid[unfilled], played.trajectories.bid[unfilled])
    assert candles.steps == played.trajectories.steps


def test_spot_and_usdm_captures_of_the_same_market_replay_alike(tmp_path: Path) -> None:
    policies = [stage_of(tmp_path, market=market) for market in ("usdm", "spot")]
    one, other = (play(each, FixedSymmetric(), SETTINGS).fills for each in policies)
    assert len(one) > 5
    assert [(f.price, f.quantity, f.exchange_ns) for f in one] == [
        (f.price, f.quantity, f.exchange_ns) for f in other
    ]
