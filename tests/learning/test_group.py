"""Trainings in one process: each is what it would have been alone, whatever the others do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from makerlab.config import TrainSettings
from makerlab.envs.market_making import default_market
from makerlab.learning.archive import read_archive, write_archive
from makerlab.learning.fast_update import SacUpdate, Shape
from makerlab.learning.group import TrainingGroup, fitting, group_key, member_bytes
from makerlab.learning.stacked import Slot, StackedUpdate, rows_of
from makerlab.learning.training import Training
from makerlab.market.base import Market

# On the CPU each by itself, or all in one batched step, as a GPU has it.
KINDS = pytest.mark.parametrize("stacked", [False, True])
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture(scope="module")
def market() -> Market:
    return default_market(None, "train", {"episode_length": 50})


@pytest.fixture(scope="module")
def other_market() -> Market:
    return default_market(None, "train", {"episode_length": 30, "fee_rate": 5e-4})


def settings(**changes: Any) -> TrainSettings:
    base: dict[str, Any] = {
        "net_arch": (16, 16),
        "batch_size": 32,
        "learning_starts": 20,
        "buffer_size": 300,
    }
    return TrainSettings.model_validate(base | changes)


DIFFERENT: list[dict[str, Any]] = [
    {"seed": 1},
    {"seed": 2, "learning_rate": 2e-3, "gamma": 0.9, "tau": 0.1},
    {"seed": 3, "learning_starts": 30, "buffer_size": 25},
]


def weights(training: Training) -> torch.Tensor:
    state = training.snapshot()["learner"]
    parts = (state["actor"]["parameters"], state["critics"]["parameters"], state["targets"])
    return torch.cat(parts).double()


def alone(market: Market, chosen: TrainSettings, turns: int) -> Training:
    training = Training(market, chosen, device="cpu")
    for _ in range(turns):
        training.advance()
    return training


def assert_same(found: Training, expected: Training, *, exactly: bool) -> None:
    """Bit for bit where each computes by itself; else to what rounding grows to in some steps."""
    assert found.step == expected.step
    assert found.episodes == expected.episodes
    ours, theirs = weights(found), weights(expected)
    if exactly:
        assert torch.equal(ours, theirs)
    else:
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-3


@KINDS
def test_each_member_is_what_it_would_have_been_alone(
    market: Market, other_market: Market, stacked: bool
) -> None:
    """Members differ in seed, learning rate, gamma, tau, warm-up, replay size and market."""
    group = TrainingGroup(3, device="cpu", stacked=stacked)
    markets = (market, market, other_market)
    chosen = [settings(**changes) for changes in DIFFERENT]
    members = [
        Training(m, s, device="cpu", seats=group) for m, s in zip(markets, chosen, strict=True)
    ]
    for _ in range(60):
        assert group.turn(members) == {}
    for member, own, where in zip(members, chosen, markets, strict=True):
        assert_same(member, alone(where, own, 60), exactly=not stacked)


@KINDS
def test_train_freq_and_gradient_steps_above_one(market: Market, stacked: bool) -> None:
    group = TrainingGroup(2, device="cpu", stacked=stacked)
    chosen = [settings(seed=seed, train_freq=3, gradient_steps=2) for seed in (4, 5)]
    members = [Training(market, own, device="cpu", seats=group) for own in chosen]
    for _ in range(20):
        group.turn(members)
    for member, own in zip(members, chosen, strict=True):
        assert_same(member, alone(market, own, 20), exactly=not stacked)
        assert member.losses == pytest.approx(alone(market, own, 20).losses, rel=1e-2, abs=1e-3)


@KINDS
def test_members_join_and_leave_without_the_others(market: Market, stacked: bool) -> None:
    group = TrainingGroup(2, device="cpu", stacked=stacked)
    first, second = (
        Training(market, settings(seed=seed), device="cpu", seats=group) for seed in (1, 2)
    )
    for _ in range(40):
        group.turn([first, second])
    group.leave(second)
    third = Training(market, settings(seed=3), device="cpu", seats=group)
    for _ in range(30):
        group.turn([third, first])
    assert_same(first, alone(market, settings(seed=1), 70), exactly=not stacked)
    assert_same(third, alone(market, settings(seed=3), 30), exactly=not stacked)


@KINDS
def test_a_member_that_fails_takes_none_with_it(market: Market, stacked: bool) -> None:
    group = TrainingGroup(2, device="cpu", stacked=stacked)
    members = [Training(market, settings(seed=seed), device="cpu", seats=group) for seed in (1, 2)]
    for _ in range(40):
        group.turn(members)
    snapshot = members[0].snapshot()
    snapshot["learner"]["critics"]["parameters"].fill_(float("nan"))
    members[0].restore(snapshot)
    failed = group.turn(members)
    assert list(failed) == [0]
    assert "diverged at step 41" in str(failed[0])
    for _ in range(20):
        assert group.turn(members[1:]) == {}
    assert_same(members[1], alone(market, settings(seed=2), 61), exactly=not stacked)


@KINDS
def test_a_member_resumes_in_another_group(market: Market, tmp_path: Path, stacked: bool) -> None:
    group = TrainingGroup(2, device="cpu", stacked=stacked)
    members = [Training(market, settings(seed=seed), device="cpu", seats=group) for seed in (1, 2)]
    for _ in range(35):
        group.turn(members)
    write_archive(tmp_path / "checkpoint", members[1].snapshot())
    later = TrainingGroup(3, device="cpu", stacked=stacked)
    resumed = Training(market, settings(seed=2), device="cpu", seats=later)
    resumed.restore(read_archive(tmp_path / "checkpoint"))
    beside = Training(market, settings(seed=9), device="cpu", seats=later)
    for _ in range(25):
        group.turn(members)
        later.turn([beside, resumed])
    assert_same(resumed, members[1], exactly=True)


def test_a_stacked_step_equals_the_single_one_in_double_precision() -> None:
    """Some slots rest at times; each has its own learning rate, gamma and tau."""
    shape, batch, kind = Shape(5, 2, (24, 8)), 16, torch.float64
    stack = StackedUpdate(shape, slots=3, batch_size=batch, device="cpu", dtype=kind)
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    store = random.standard_normal((200, shape.row))
    singles, slots = [], []
    for number in range(3):
        own = {"learning_rate": 1e-3 * (number + 1), "gamma": 0.9, "tau": 0.01 * (number + 1)}
        single = SacUpdate(shape, batch_size=batch, device="cpu", dtype=kind, **own)
        for tensor in (single.actor.parameters, single.critics.parameters, single.targets):
            tensor.normal_(generator=generator).mul_(0.3)
        slots.append(Slot(stack, number, **own))
        slots[-1].restore(single.state())
        singles.append(single)
    for turn in range(6):
        rows, noise = {}, {}
        for number, single in enumerate(singles):
            if turn % 3 == number:
                continue
            samples = random.integers(100, size=(1, batch))
            numbers = random.standard_normal((1, 2, shape.actions, batch))
            single.step(store, samples, numbers)
            rows[number], noise[number] = rows_of(store, samples[0]), numbers[0]
        losses = stack.step(rows, noise)
        for number, found in losses.items():
            assert found == pytest.approx(singles[number].losses(), rel=1e-9, abs=1e-9)
    for slot, single in zip(slots, singles, strict=True):
        for name in ("actor", "critics"):
            for part, numbers in single.state()[name].items():
                found_numbers = slot.state()[name][part].to(numbers)
                torch.testing.assert_close(found_numbers, numbers, rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(slot.state()["targets"], single.state()["targets"])


def test_the_batched_step_knows_no_double_precision() -> None:
    """MPS has none."""
    stack = StackedUpdate(Shape(5, 2, (8,)), slots=2, batch_size=4, device="cpu")
    single = {torch.float32, torch.bool}
    tensors = [value for value in vars(stack).values() if isinstance(value, torch.Tensor)]
    for part in (stack.actor, stack.critics):
        tensors += [part.steps, *(t for kind in part.tensors.values() for t in kind)]
    assert len(tensors) > 10
    assert {tensor.dtype for tensor in tensors} <= single


@NEEDS_CUDA
def test_the_captured_step_equals_the_single_one_on_cuda(market: Market) -> None:
    group = TrainingGroup(3, device="cuda")
    chosen = [settings(**changes) for changes in DIFFERENT]
    members = [Training(market, own, device="cuda", seats=group) for own in chosen]
    for _ in range(60):
        assert group.turn(members) == {}
    for member, own in zip(members, chosen, strict=True):
        assert_same(member, alone(market, own, 60), exactly=False)


def test_seats_are_given_out_once_and_for_one_shape(market: Market) -> None:
    group = TrainingGroup(1, device="cpu", stacked=True)
    Training(market, settings(), device="cpu", seats=group)
    with pytest.raises(ValueError, match="all 1 seats are taken"):
        Training(market, settings(), device="cpu", seats=group)
    with pytest.raises(ValueError, match="expected Shape"):
        Training(market, settings(net_arch=(8,)), device="cpu", seats=group)


def test_the_size_of_a_group_follows_memory() -> None:
    shape = Shape(17, 2, (64, 64))
    host, device = member_bytes(shape, settings(buffer_size=200_000, batch_size=256))
    assert host == 200_000 * 2 * 20 * 4
    assert 1_000_000 < device < 100_000_000
    assert fitting(4, shape, settings(), device="cpu") == 4
    assert fitting(10**9, shape, settings(), device="cpu") < 10**9


def test_members_of_a_group_may_differ_in_what_has_no_shape() -> None:
    assert group_key(settings(seed=1, learning_rate=1e-3)) == group_key(settings(seed=2, tau=0.5))
    assert group_key(settings()) != group_key(settings(batch_size=64))
    assert group_key(settings()) != group_key(settings(net_arch=(16,)))
