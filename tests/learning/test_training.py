"""Training is stock SAC taken step by step; it stops anywhere and continues exactly."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from tests.made_up_candles import flat_then, market_of, random_walk

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.errors import UserError
from makerlab.learning.actor import load_policy
from makerlab.learning.archive import read_archive, write_archive
from makerlab.learning.device import available_devices, check_device, use_threads
from makerlab.learning.sac import SacLearner
from makerlab.learning.training import Diverged, Training
from makerlab.market.base import Market

STEPS = 90
MARKET = market_of(
    random_walk(600, seed=71), episode_length=25, order_size=0.1, max_inventory=1.0, fee_rate=1e-4
)
COURSES: dict[str, dict[str, int]] = {
    "plain": {},
    "two gradient steps": {"gradient_steps": 2},
    "every other step": {"train_freq": 2},
    "both": {"train_freq": 2, "gradient_steps": 2},
}
# Before learning begins, in the middle of an episode, after the replay buffer has wrapped around,
# and at the very end.
STOPS = [
    *(("plain", stop) for stop in (2, 31, 57, 76, STEPS)),
    *(("two gradient steps", stop) for stop in (45, STEPS)),
    ("every other step", 58),
    *(("both", stop) for stop in (30, 76)),
]


def settings_of(**changed: Any) -> TrainSettings:
    """Return settings of a small learner whose replay buffer wraps around."""
    small: dict[str, Any] = {
        "learner": "sb3",
        "net_arch": (8, 8),
        "learning_starts": 30,
        "batch_size": 16,
        "buffer_size": 60,
        "seed": 5,
    }
    return TrainSettings(**(small | changed))


def trained(settings: TrainSettings, *, steps: int = STEPS, market: Market = MARKET) -> Training:
    training = Training(market, settings, device="cpu")
    while training.step < steps:
        training.advance()
    return training


def saved(training: Training, path: Path) -> bytes:
    training.learner.save(path)
    return path.read_bytes()


def stock_of(training: Training) -> SAC:
    assert isinstance(training.learner, SacLearner)
    return training.learner._model


def stock(settings: TrainSettings, *, steps: int = STEPS) -> SAC:
    """Return Stable-Baselines3's own learner after `learn`."""
    model = SAC(
        "MlpPolicy",
        MarketMakingEnv(MARKET),
        learning_rate=settings.learning_rate,
        buffer_size=settings.buffer_size,
        learning_starts=settings.learning_starts,
        batch_size=settings.batch_size,
        tau=settings.tau,
        gamma=settings.gamma,
        train_freq=settings.train_freq,
        gradient_steps=settings.gradient_steps,
        policy_kwargs={"net_arch": list(settings.net_arch)},
        seed=settings.seed,
        device="cpu",
    )
    return model.learn(steps)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Training]:
    """Each course left alone from its first step to its last."""
    return {course: trained(settings_of(**changed)) for course, changed in COURSES.items()}


# --- the reference -----------------------------------------------------------------------------


@pytest.mark.parametrize("course", COURSES)
def test_training_equals_stock_sac_byte_for_byte(
    course: str, tmp_path: Path, undisturbed: dict[str, Training]
) -> None:
    ours, reference = undisturbed[course], stock(settings_of(**COURSES[course]))
    ours.learner.save(tmp_path / "ours.zip")
    reference.save(tmp_path / "stock.zip")
    with (
        zipfile.ZipFile(tmp_path / "ours.zip") as one,
        zipfile.ZipFile(tmp_path / "stock.zip") as other,
    ):
        assert one.namelist() == other.namelist()
        for name in one.namelist():
            if name.endswith(".pth"):
                assert one.read(name) == other.read(name), name
    model = stock_of(ours)
    assert model.replay_buffer is not None and reference.replay_buffer is not None
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        here, there = (getattr(m.replay_buffer, name) for m in (model, reference))
        np.testing.assert_array_equal(here, there)
    assert model._n_updates == reference._n_updates > 0


def test_the_saved_model_opens_with_stock_sac_and_acts_the_same(
    tmp_path: Path, undisturbed: dict[str, Training]
) -> None:
    path = tmp_path / "model.zip"
    undisturbed["plain"].learner.save(path)
    reference, ours = SAC.load(path, device="cpu"), load_policy(path)
    seen = np.random.default_rng(0).normal(size=(50, 17)).astype(np.float32)
    theirs, _ = reference.predict(seen, deterministic=True)
    np.testing.assert_allclose(ours.act(seen), theirs, atol=1e-6)


def test_sampled_actions_have_the_distribution_of_stock_sac(
    tmp_path: Path, undisturbed: dict[str, Training]
) -> None:
    path = tmp_path / "model.zip"
    undisturbed["plain"].learner.save(path)
    reference, ours = SAC.load(path, device="cpu"), load_policy(path, deterministic=False, seed=3)
    seen = np.tile(np.random.default_rng(1).normal(size=17), (20_000, 1)).astype(np.float32)
    theirs, _ = reference.predict(seen, deterministic=False)
    found = np.asarray(ours.act(seen))
    assert found.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.02)
    assert found.std(axis=0) == pytest.approx(theirs.std(axis=0), abs=0.02)
    again = load_policy(path, deterministic=False, seed=3)
    np.testing.assert_array_equal(again.act(seen), found)


# --- exact resume --------------------------------------------------------------------------------


@pytest.mark.parametrize(("course", "stop"), STOPS)
def test_a_snapshot_at_any_step_continues_to_the_same_bytes(
    course: str, stop: int, tmp_path: Path, undisturbed: dict[str, Training]
) -> None:
    """Trap: resume that loads weights only: random state, replay buffer and step count start
    over."""
    settings = settings_of(**COURSES[course])
    write_archive(tmp_path / "checkpoint", trained(settings, steps=stop).snapshot())
    # Whatever happened in between, in another process as a rule.
    np.random.random(9)
    torch.rand(3)
    again = Training(MARKET, settings, device="cpu")
    again.restore(read_archive(tmp_path / "checkpoint"))
    assert again.step == stop
    while again.step < STEPS:
        again.advance()
    expected = saved(undisturbed[course], tmp_path / "undisturbed.zip")
    assert saved(again, tmp_path / "resumed.zip") == expected


def test_the_course_of_a_resumed_training_goes_on_as_well(
    tmp_path: Path, undisturbed: dict[str, Training]
) -> None:
    whole = undisturbed["plain"]
    write_archive(tmp_path / "checkpoint", trained(settings_of(), steps=61).snapshot())
    again = Training(MARKET, settings_of(), device="cpu")
    again.restore(read_archive(tmp_path / "checkpoint"))
    while again.step < STEPS:
        again.advance()
    for name in ("step", "episodes", "episode_reward", "losses"):
        assert getattr(again, name) == getattr(whole, name)


def test_a_snapshot_of_the_same_step_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_archive(tmp_path / name, trained(settings_of(), steps=40).snapshot())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_only_the_filled_part_of_the_replay_buffer_is_kept() -> None:
    settings = settings_of(buffer_size=100_000)
    kept = trained(settings, steps=35).snapshot()["learner"]["replay"]
    assert {len(rows) for rows in kept.values()} == {35}


# --- seeds ---------------------------------------------------------------------------------------


def test_the_seed_decides_weights_starts_and_actions(tmp_path: Path) -> None:
    """Trap: a seed in the YAML that does not seed the learner or the environment."""
    files = [
        saved(trained(settings_of(seed=seed), steps=45), tmp_path / "model.zip")
        for seed in (5, 5, 6)
    ]
    assert files[0] == files[1] != files[2]
    starts = []
    for seed in (5, 5, 6):
        training = Training(MARKET, settings_of(seed=seed), device="cpu")
        starts.append(training._env.snapshot()["episodes"]["bar"].tolist())
    assert starts[0] == starts[1] != starts[2]


# --- ends of episodes ----------------------------------------------------------------------------


def replay_of(training: Training) -> Any:
    return stock_of(training).replay_buffer


def test_a_time_limit_is_bootstrapped_through() -> None:
    """Trap: reward that misses part of the bar's move, so that doing nothing wins; time limit
    treated as termination."""
    replay = replay_of(trained(settings_of(), steps=60))
    assert np.flatnonzero(replay.timeouts[:60, 0]).tolist() == [24, 49]
    targets_use = replay.dones[:60, 0] * (1.0 - replay.timeouts[:60, 0])
    assert not targets_use.any()


def test_the_last_transition_of_an_episode_leads_to_its_own_last_view() -> None:
    replay = replay_of(trained(settings_of(), steps=60))
    time_left = 12
    assert replay.next_observations[24, 0, time_left] == 0.0
    assert replay.observations[25, 0, time_left] == 1.0
    np.testing.assert_array_equal(replay.next_observations[23], replay.observations[24])


def test_ruin_is_an_end_that_nothing_follows() -> None:
    crash = [(100.0, 100.0, 99.0, 100.0), *[(50.0, 50.0, 50.0, 50.0)] * 3]
    market = market_of(
        flat_then(*crash), initial_cash=40.0, episode_length=3, random_start=False, beta=0.1
    )
    replay = replay_of(trained(settings_of(learning_starts=50), steps=2, market=market))
    assert replay.dones[:2, 0].tolist() == [0.0, 1.0]
    assert replay.timeouts[:2, 0].tolist() == [0.0, 0.0]


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["actor", "critic"])
def test_weights_that_are_no_numbers_end_the_training_as_diverged(part: str) -> None:
    training = trained(settings_of(), steps=40)
    with torch.no_grad():
        for weights in getattr(stock_of(training), part).parameters():
            weights.fill_(float("nan"))
    with pytest.raises(Diverged, match="diverged at step 4"):
        for _ in range(3):
            training.advance()


def test_other_errors_are_not_called_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    training = trained(settings_of(), steps=40)

    def broken() -> dict[str, float]:
        raise ValueError("something else")

    monkeypatch.setattr(training.learner, "update", broken)
    with pytest.raises(ValueError, match="something else"):
        training.advance()


# --- devices and threads -------------------------------------------------------------------------


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    assert available_devices() == ("cpu", *(name for name, there in present.items() if there))
    for name, there in present.items():
        if there:
            assert check_device(name) == name
        else:
            with pytest.raises(UserError, match=rf"--device {name}: not available.*has:.*cpu"):
                check_device(name)


def test_a_process_takes_one_thread_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap: two processes with all threads each."""
    before = torch.get_num_threads()
    try:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        assert use_threads() == 1 == torch.get_num_threads()
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert use_threads() == 2 == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_a_training_does_not_load_the_compiler_of_torch(tmp_path: Path) -> None:
    """Making an optimizer would: two seconds and 100 MB of every worker."""
    program = """
import sys
from pathlib import Path
from tests.learning.test_training import settings_of, trained
training = trained(settings_of(learner="fast"), steps=40)
training.learner.save(Path(sys.argv[1]))
print(*[name for name in sys.modules if name.startswith("torch._dynamo")])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "model.zip")]
    root = Path(__file__).parents[2]
    loaded = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
