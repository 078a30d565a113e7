"""The fast learner computes what Stable-Baselines3's SAC computes."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.envs.market_making import default_market
from makerlab.learning.actor import load_policy
from makerlab.learning.archive import read_archive, write_archive
from makerlab.learning.fast_compiled import CompiledUpdate
from makerlab.learning.fast_exchange import give_to_stock, stock_model, take_from_stock
from makerlab.learning.fast_kernels import CpuSacUpdate
from makerlab.learning.fast_networks import can_round
from makerlab.learning.fast_replay import Replay
from makerlab.learning.fast_sac import FastSacLearner
from makerlab.learning.fast_update import SacUpdate, Shape, Update
from makerlab.learning.learner import make_learner
from makerlab.learning.training import Training
from makerlab.market.base import Market
from makerlab.market.episodes import OBSERVATION_NAMES

Array = npt.NDArray[Any]

SINGLE = torch.float32
DOUBLE = torch.float64


@pytest.fixture(scope="module")
def market() -> Market:
    return default_market(None, "train", {"episode_length": 50})


@pytest.fixture(scope="module")
def market_without_sides() -> Market:
    return default_market(None, "train", {"episode_length": 50, "allow_no_quote": True})


def settings(**changes: Any) -> TrainSettings:
    base: dict[str, Any] = {
        "learner": "fast",
        "net_arch": (16, 16),
        "batch_size": 32,
        "learning_starts": 40,
        "buffer_size": 300,
    }
    return TrainSettings.model_validate(base | changes)


class Batches:
    """Made-up transitions and noise, handed to both learners."""

    def __init__(self, shape: Shape, batch_size: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(5)

        def normal(*size: int) -> torch.Tensor:
            return torch.randn(size, generator=generator).to(dtype)

        self.observations = normal(batch_size, shape.observations)
        self.next_observations = normal(batch_size, shape.observations)
        self.actions = torch.tanh(normal(batch_size, shape.actions))
        self.rewards = 3.0 * normal(batch_size, 1)
        self.ends = (normal(batch_size, 1) > 1.0).to(dtype)
        self.noise = normal(2, batch_size, shape.actions)

    def sample(self, *_: Any, **__: Any) -> ReplayBufferSamples:
        return ReplayBufferSamples(
            self.observations, self.actions, self.next_observations, self.ends, self.rewards
        )

    def for_update(self) -> tuple[Array, Array, Array]:
        """Return store, samples and noise, as an update takes them."""
        batch, size = self.observations.shape
        rows = torch.zeros(batch, 2, size + self.actions.shape[1] + 1, dtype=self.rewards.dtype)
        rows[:, 0] = torch.cat([self.observations, self.actions, self.rewards], 1)
        rows[:, 1, :size] = self.next_observations
        rows[:, 1, -1:] = 1.0 - self.ends
        noise = self.noise.mT.contiguous()
        return rows.flatten(0, 1).numpy(), np.arange(batch)[None], noise[None].numpy()


class Stock:
    """Stock SAC on given batches; remembers the gradients each optimizer saw."""

    def __init__(self, model: SAC, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
        self.model = in_precision(dtype, model)
        self.logger = Logger(folder=None, output_formats=[])
        model.set_logger(self.logger)
        self.gradients: dict[str, torch.Tensor] = {}
        for name, optimizer in self.optimizers().items():
            optimizer.register_step_pre_hook(self._remember(name))
        self._monkeypatch = monkeypatch

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        model = self.model
        assert model.ent_coef_optimizer is not None
        return {
            "actor": model.actor.optimizer,
            "critics": model.critic.optimizer,
            "entropy": model.ent_coef_optimizer,
        }

    def _remember(self, name: str) -> Any:
        def hook(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            parameters = optimizer.param_groups[0]["params"]
            self.gradients[name] = torch.cat([p.grad.reshape(-1) for p in parameters])

        return hook

    def step(self, batches: Batches) -> dict[str, float]:
        self.model.replay_buffer = batches  # type: ignore[assignment]
        noise = list(batches.noise)
        with self._monkeypatch.context() as patch:
            patch.setattr(
                "torch.distributions.normal._standard_normal", lambda *_, **__: noise.pop(0)
            )
            # Stock converts observations to single precision, whatever its networks have.
            patch.setattr(
                "stable_baselines3.common.policies.preprocess_obs", lambda found, *_, **__: found
            )
            self.model.train(gradient_steps=1, batch_size=len(batches.rewards))
        names = ("actor_loss", "critic_loss", "ent_coef", "ent_coef_loss")
        return {name: float(self.logger.name_to_value[f"train/{name}"]) for name in names}


def in_precision(dtype: torch.dtype, model: SAC) -> SAC:
    assert model.log_ent_coef is not None
    model.policy.to(dtype)
    model.log_ent_coef.data = model.log_ent_coef.data.to(dtype)
    return model


def gradients_of(update: Update, model: SAC) -> dict[str, torch.Tensor]:
    """Return our gradients in stock's order, by way of what `give_to_stock` does to parameters."""
    gradients = update.gradients()
    state = update.state()
    probe = make(SacUpdate, update.shape, settings(), gradients["actor"].dtype)
    for name in ("actor", "critics"):
        state[name]["parameters"] = gradients[name]
    probe.restore(state)
    give_to_stock(probe, model)
    assert model.log_ent_coef is not None
    return {
        "actor": torch.nn.utils.parameters_to_vector(model.actor.parameters()),
        "critics": torch.nn.utils.parameters_to_vector(model.critic.parameters()),
        "entropy": model.log_ent_coef,
    }


def make(
    kind: type[Any],
    shape: Shape,
    chosen: TrainSettings,
    dtype: torch.dtype,
    *,
    rounded: bool = False,
) -> Update:
    options: dict[str, Any] = {
        "batch_size": chosen.batch_size,
        "learning_rate": chosen.learning_rate,
        "gamma": chosen.gamma,
        "tau": chosen.tau,
        "dtype": dtype,
    }
    if kind is not CompiledUpdate:
        options |= {"device": "cpu", "rounded": rounded}
    update: Update = kind(shape, **options)
    return update


def weights_of(model: SAC) -> dict[str, torch.Tensor]:
    assert model.log_ent_coef is not None
    return {**model.policy.state_dict(), "log_ent_coef": model.log_ent_coef.detach()}


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the Euclidean distance as a share of the length of the expected numbers."""
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))


class Pair:
    """Stock SAC and the fast update, both from the same weights, in one precision."""

    def __init__(
        self,
        env: MarketMakingEnv,
        chosen: TrainSettings,
        dtype: torch.dtype,
        monkeypatch: pytest.MonkeyPatch,
        *,
        kind: type[Any] = CompiledUpdate,
        rounded: bool = False,
    ) -> None:
        self.stock = Stock(stock_model(env, chosen), dtype, monkeypatch)
        widen_deviations(self.stock.model)
        self.shape = Shape(
            size_of(env.observation_space), size_of(env.action_space), chosen.net_arch
        )
        self.update = make(kind, self.shape, chosen, dtype, rounded=rounded)
        take_from_stock(self.update, self.stock.model)
        # Ours in stock's form, to be compared number by number.
        self.ours = in_precision(dtype, stock_model(env, chosen))
        self.batches = Batches(self.shape, chosen.batch_size, dtype)

    def step(self) -> tuple[dict[str, float], dict[str, float]]:
        """Take a step with both; returns our losses and stock's."""
        self.update.step(*self.batches.for_update())
        ours, theirs = self.update.losses()._asdict(), self.stock.step(self.batches)
        give_to_stock(self.update, self.ours)
        return ours, theirs


def size_of(space: Any) -> int:
    return int(space.shape[0])


@pytest.mark.parametrize(
    ("net_arch", "batch_size"),
    [((64, 64), 256), ((64, 64), 64), ((64, 64), 512), ((256, 256, 128), 256), ((48,), 17)],
)
@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize("kind", [SacUpdate, CpuSacUpdate, CompiledUpdate])
def test_gradient_steps_equal_those_of_stock_sac(
    market: Market,
    market_without_sides: Market,
    net_arch: tuple[int, ...],
    batch_size: int,
    sides: bool,
    kind: type[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In double precision all agrees to eight digits or more, so the formulas are equal.

    Five steps in a row from the same weights, batches and noise: losses, gradients, parameters,
    target networks, entropy coefficient and the optimizers' moments.
    """
    env = MarketMakingEnv(market_without_sides if sides else market)
    chosen = settings(net_arch=net_arch, batch_size=batch_size, learning_rate=1e-3, tau=0.05)
    pair = Pair(env, chosen, DOUBLE, monkeypatch, kind=kind)
    for _ in range(5):
        ours, theirs = pair.step()
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
        for name, weights in weights_of(pair.ours).items():
            assert difference(weights, weights_of(pair.stock.model)[name]) < 1e-8, name
        for name, moments in moments_of(pair.ours).items():
            assert difference(moments, moments_of(pair.stock.model)[name]) < 1e-8, name
        for name, gradient in gradients_of(pair.update, pair.ours).items():
            assert difference(gradient, pair.stock.gradients[name]) < 1e-8, name


@pytest.mark.parametrize(
    ("net_arch", "batch_size"), [((64, 64), 256), ((256, 256, 128), 256), ((256, 256), 64)]
)
def test_single_precision_is_as_close_to_the_truth_as_stock_sac(
    market: Market,
    net_arch: tuple[int, ...],
    batch_size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gradients agree to rounding, and neither drifts further from double precision.

    Where a gradient is nothing but rounding, Adam's first steps magnify it, in stock as here;
    hence weights are held against the double-precision ones rather than against each other.
    """
    env = MarketMakingEnv(market)
    chosen = settings(net_arch=net_arch, batch_size=batch_size)
    single = Pair(env, chosen, SINGLE, monkeypatch)
    double = Pair(env, chosen, DOUBLE, monkeypatch)
    for number in range(5):
        ours, theirs = single.step()
        double.step()
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
        truth = weights_of(double.stock.model)
        for name, weights in weights_of(single.ours).items():
            found = difference(weights, truth[name])
            allowed = difference(weights_of(single.stock.model)[name], truth[name])
            assert found < 2.0 * allowed + 1e-6, name
        if number == 0:
            for name, gradient in gradients_of(single.update, single.ours).items():
                assert difference(gradient, single.stock.gradients[name]) < 1e-5, name


def moments_of(model: SAC) -> dict[str, torch.Tensor]:
    """Return the optimizers' moments and step counts, each kind in one vector per optimizer."""
    assert model.ent_coef_optimizer is not None
    optimizers = (model.actor.optimizer, model.critic.optimizer, model.ent_coef_optimizer)
    return {
        f"{number}.{kind}": torch.cat(
            [state[kind].reshape(-1) for state in optimizer.state.values()]
        )
        for number, optimizer in enumerate(optimizers)
        for kind in ("step", "exp_avg", "exp_avg_sq")
    }


def widen_deviations(model: SAC) -> None:
    """Push some log deviations beyond their bounds, so that the clamp is at work."""
    with torch.no_grad():
        model.actor.log_std.bias[0] += 2.0
        model.actor.mu.weight.mul_(4.0)


def advanced(training: Training, steps: int) -> Training:
    for _ in range(steps):
        training.advance()
    return training


def model_bytes(training: Training, folder: Path, name: str) -> bytes:
    path = folder / name
    training.learner.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train_freq": 3, "gradient_steps": 2},
        {"net_arch": (24, 16, 8), "batch_size": 7},
        {"buffer_size": 60},
    ],
)
def test_a_resumed_training_continues_byte_for_byte(
    market: Market, tmp_path: Path, changes: dict[str, Any]
) -> None:
    chosen = settings(**changes)
    steps = np.random.default_rng(len(changes)).integers(20, 90)
    through = advanced(Training(market, chosen, device="cpu"), int(steps))
    write_archive(tmp_path / "checkpoint", through.snapshot())
    resumed = Training(market, chosen, device="cpu")
    resumed.restore(read_archive(tmp_path / "checkpoint"))
    advanced(through, 60)
    advanced(resumed, 60)
    assert model_bytes(through, tmp_path, "a.zip") == model_bytes(resumed, tmp_path, "b.zip")
    write_archive(tmp_path / "a", through.snapshot())
    write_archive(tmp_path / "b", resumed.snapshot())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_checkpoint_holds_only_the_filled_part_of_the_replay_store(market: Market) -> None:
    training = advanced(Training(market, settings(buffer_size=200_000), device="cpu"), 10)
    rows = training.snapshot()["learner"]["replay"]["rows"]
    assert len(rows) == 2 * 10


def test_learners_in_one_process_do_not_disturb_each_other(market: Market, tmp_path: Path) -> None:
    """Nor do they read or change the global generators."""
    np.random.seed(3)
    torch.manual_seed(3)
    before = (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
    first, second = (Training(market, settings(seed=seed), device="cpu") for seed in (1, 2))
    for _ in range(80):
        first.advance()
        second.advance()
    after = (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # type: ignore[index]
    assert before == after
    torch.manual_seed(4)
    alone = advanced(Training(market, settings(seed=2), device="cpu"), 80)
    assert model_bytes(second, tmp_path, "a.zip") == model_bytes(alone, tmp_path, "b.zip")
    assert model_bytes(first, tmp_path, "c.zip") != model_bytes(alone, tmp_path, "d.zip")


@pytest.fixture(scope="module")
def trained(market: Market) -> Training:
    return advanced(Training(market, settings(), device="cpu"), 100)


def test_saved_models_open_in_stock_sac_with_their_optimizers(
    market: Market, trained: Training, tmp_path: Path
) -> None:
    trained.learner.save(tmp_path / "model.zip")
    model = SAC.load(tmp_path / "model.zip", device="cpu")
    assert (model.num_timesteps, model._n_updates) == (100, 60)
    learner = trained.learner
    assert isinstance(learner, FastSacLearner)
    ours = stock_model(MarketMakingEnv(market), settings())
    give_to_stock(learner._update, ours)
    for name, weights in weights_of(ours).items():
        assert torch.equal(weights_of(model)[name], weights), name
    for name, moments in moments_of(ours).items():
        assert torch.equal(moments_of(model)[name], moments), name


def test_saved_models_act_alike_in_stock_sac_and_as_policies(
    trained: Training, tmp_path: Path
) -> None:
    trained.learner.save(tmp_path / "model.zip")
    model = SAC.load(tmp_path / "model.zip", device="cpu")
    policy = load_policy(tmp_path / "model.zip")
    size = policy.observation_size
    observations = np.random.default_rng(0).normal(size=(30, size)).astype(np.float32)
    expected, _ = model.predict(observations, deterministic=True)
    assert policy.act(observations) == pytest.approx(expected, abs=1e-6)
    assert trained.learner.policy().act(observations) == pytest.approx(expected, abs=1e-6)


def test_stock_sac_continues_training_a_saved_model(
    market: Market, trained: Training, tmp_path: Path
) -> None:
    trained.learner.save(tmp_path / "model.zip")
    model = SAC.load(tmp_path / "model.zip", env=MarketMakingEnv(market), device="cpu")
    model.learn(60, reset_num_timesteps=False)
    assert model.num_timesteps == 160
    steps = moments_of(model)["0.step"]
    assert steps.min() > 60


def test_untrained_models_equal_stock_sac_of_the_same_seed(market: Market, tmp_path: Path) -> None:
    env = MarketMakingEnv(market)
    for kind in ("fast", "sb3"):
        make_learner(env, settings(learner=kind), device="cpu").save(tmp_path / f"{kind}.zip")
    weights = []
    for kind in ("fast", "sb3"):
        with zipfile.ZipFile(tmp_path / f"{kind}.zip") as archive:
            weights.append(archive.read("policy.pth"))
    assert weights[0] == weights[1]


def test_warm_up_actions_are_uniform_and_learning_starts_when_stock_sac_starts(
    market: Market,
) -> None:
    """Random actions before learning_starts steps, updates from the first step after."""
    starts = {}
    for kind in ("fast", "sb3"):
        training = Training(market, settings(learner=kind, learning_starts=40), device="cpu")
        starts[kind] = next(n for n in range(60) if advanced(training, 1).losses)
    assert starts["fast"] == starts["sb3"]
    learner = FastSacLearner(MarketMakingEnv(market), settings(), device="cpu")
    view = np.zeros(len(OBSERVATION_NAMES), np.float32)
    actions = np.concatenate([learner.explore(view)[0] for _ in range(2000)])
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1.0
    assert actions.mean(0) == pytest.approx([0.0, 0.0], abs=0.05)
    assert actions.std(0) == pytest.approx([3**-0.5] * 2, abs=0.03)


def test_exploring_actions_have_the_actors_distribution(market: Market) -> None:
    learner = FastSacLearner(MarketMakingEnv(market), settings(learning_starts=0), device="cpu")
    view = np.linspace(-1.0, 1.0, len(OBSERVATION_NAMES)).astype(np.float32)
    model = stock_model(MarketMakingEnv(market), settings())
    mean, log_std, _ = model.actor.get_action_dist_params(torch.from_numpy(view[None]))
    actions = np.concatenate([learner.explore(view)[0] for _ in range(4000)])
    before = np.arctanh(actions.astype(np.float64))
    assert before.mean(0) == pytest.approx(mean[0].tolist(), abs=0.06)
    assert before.std(0) == pytest.approx(log_std.exp()[0].tolist(), rel=0.06)


@pytest.mark.parametrize(("terminated", "truncated"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_time_limits_are_no_ends_just_as_in_stock_sac(
    market: Market, terminated: int, truncated: int
) -> None:
    env = MarketMakingEnv(market)
    stock = ReplayBuffer(5, env.observation_space, env.action_space, device="cpu")
    shape = Shape(size_of(env.observation_space), size_of(env.action_space), (8,))
    ours = Replay(5, shape)
    here, there = (env.observation_space.sample() for _ in range(2))
    action = env.action_space.sample()
    stock.add(
        here[None],
        there[None],
        action[None],
        np.array([0.5]),
        np.array([bool(terminated or truncated)]),
        [{"TimeLimit.truncated": bool(truncated and not terminated)}],
    )
    ours.add(here, there, action, reward=0.5, ended=bool(terminated))
    rows = torch.from_numpy(ours.rows)
    expected = stock.sample(1)
    size = shape.observations
    assert torch.equal(rows[:1, :size], expected.observations)
    assert torch.equal(rows[:1, size:-1], expected.actions)
    assert torch.equal(rows[:1, -1:], expected.rewards)
    assert torch.equal(rows[1:2, :size], expected.next_observations)
    assert torch.equal(1.0 - rows[1:2, -1:], expected.dones)


def test_a_full_replay_store_forgets_the_oldest(market: Market) -> None:
    shape = Shape(2, 1, (8,))
    replay = Replay(3, shape)
    for number in range(5):
        view = np.full(2, number, np.float32)
        replay.add(view, view, np.zeros(1, np.float32), reward=0.0, ended=False)
    assert len(replay) == 3
    assert set(replay.rows[:, 0].tolist()) == {2.0, 3.0, 4.0}


@pytest.mark.skipif(not can_round(), reason="this processor has no bfloat16 products")
def test_bfloat16_products_change_gradients_by_a_few_percent(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only factors of large products are rounded, to 8 bits; the setting leaves nothing behind."""
    chosen = settings(net_arch=(256, 256, 128), batch_size=256)
    env = MarketMakingEnv(market)
    pair = Pair(env, chosen, SINGLE, monkeypatch, kind=CpuSacUpdate, rounded=True)
    ours, theirs = pair.step()
    assert ours == pytest.approx(theirs, rel=0.01, abs=0.01)
    assert ours != pytest.approx(theirs, rel=1e-7, abs=1e-7)
    for name, gradient in gradients_of(pair.update, pair.ours).items():
        assert 1e-5 < difference(gradient, pair.stock.gradients[name]) < 0.04, name
    first, second = torch.ones(300, 300) + 2**-12, torch.ones(300, 300)
    assert torch.equal(first @ second, torch.full((300, 300), 300 * (1 + 2**-12)))
