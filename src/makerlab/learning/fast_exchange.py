"""Between flat tensors and Stable-Baselines3: initial weights, and model files it can open."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import SAC
from torch import Tensor

from makerlab.config import TrainSettings
from makerlab.envs import MarketMakingEnv
from makerlab.learning.fast_networks import layers_of
from makerlab.learning.fast_update import CRITICS, Shape, State, Update
from makerlab.learning.stock import stock_sac

Views = Callable[[Tensor], list[Tensor]]

_KINDS = ("weight", "bias")


class _Group(NamedTuple):
    """Parameters that one stock optimizer moves, beside their places in a flat tensor."""

    flat: dict[str, Tensor]
    views: Views
    stock: list[Tensor]
    optimizer: torch.optim.Optimizer


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Put Python's, numpy's and torch's global generators back afterwards."""
    python, legacy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)


def stock_model(env: MarketMakingEnv, settings: TrainSettings) -> SAC:
    """Return stock SAC with the initial weights of the seed, without a replay buffer."""
    with untouched_generators():
        model = stock_sac(env, settings, device="cpu")
    model.replay_buffer = None
    return model


def take_from_stock(update: Update, model: SAC) -> None:
    """Copy weights, targets, entropy coefficient and optimizers of a stock model."""
    state = update.state()
    with torch.no_grad():
        for flat, stock in _target_pairs(update.shape, state, model):
            flat.copy_(stock)
        for group in _groups(update.shape, state, model):
            _take_group(group)
    update.restore(state)


def give_to_stock(update: Update, model: SAC) -> None:
    """Copy weights, targets, entropy coefficient and optimizers into a stock model."""
    state = update.state()
    with torch.no_grad():
        for flat, stock in _target_pairs(update.shape, state, model):
            stock.copy_(flat)
        for group in _groups(update.shape, state, model):
            _give_group(group)


def actor_weights(update: Update) -> dict[str, Tensor]:
    """Return copies of the actor's weights under their names in Stable-Baselines3."""
    hidden = [f"latent_pi.{2 * number}" for number in range(len(update.shape.hidden))]
    names = [f"{module}.{kind}" for module in (*hidden, "mu", "log_std") for kind in _KINDS]
    views = _actor_views(update.shape)(update.state()["actor"]["parameters"])
    return {name: view.clone() for name, view in zip(names, views, strict=True)}


def _groups(shape: Shape, state: State, model: SAC) -> list[_Group]:
    entropy, optimizer = model.log_ent_coef, model.ent_coef_optimizer
    if entropy is None or optimizer is None:
        raise TypeError("this learner needs SAC with a learned entropy coefficient")
    actor, critic = model.actor, model.critic
    ours, theirs = state["actor"], state["critics"]
    return [
        _Group(ours, _actor_views(shape), list(actor.parameters()), actor.optimizer),
        _Group(theirs, _critic_views(shape), list(critic.parameters()), critic.optimizer),
        _Group(ours, _entropy_view, [entropy], optimizer),
    ]


def _target_pairs(shape: Shape, state: State, model: SAC) -> Iterator[tuple[Tensor, Tensor]]:
    views = _critic_views(shape)(state["targets"])
    return zip(views, model.critic_target.parameters(), strict=True)


def _take_group(group: _Group) -> None:
    flat, state = group.flat, group.optimizer.state
    for view, stock in zip(group.views(flat["parameters"]), group.stock, strict=True):
        view.copy_(stock)
    moments = (group.views(flat["first_moment"]), group.views(flat["second_moment"]), group.stock)
    for first, second, stock in zip(*moments, strict=True):
        if stock in state:
            first.copy_(state[stock]["exp_avg"])
            second.copy_(state[stock]["exp_avg_sq"])
            flat["steps"].copy_(state[stock]["step"])


def _give_group(group: _Group) -> None:
    flat, state = group.flat, group.optimizer.state
    for view, stock in zip(group.views(flat["parameters"]), group.stock, strict=True):
        stock.copy_(view)
    state.clear()
    if flat["steps"].item() == 0:
        return
    moments = (group.views(flat["first_moment"]), group.views(flat["second_moment"]), group.stock)
    for first, second, stock in zip(*moments, strict=True):
        values: dict[str, Any] = {"step": flat["steps"], "exp_avg": first, "exp_avg_sq": second}
        state[stock] = {name: value.clone() for name, value in values.items()}


def _actor_views(shape: Shape) -> Views:
    """Return where a stock actor's parameters lie, in the order of its `parameters()`."""

    def views(flat: Tensor) -> list[Tensor]:
        *hidden, head = layers_of(flat[:-1], 1, shape.actor)
        result = [view for layer in hidden for view in (layer.weight[0], layer.bias[0, 0])]
        for part in (slice(shape.actions), slice(shape.actions, None)):
            result += [head.weight[0, part], head.bias[0, part, 0]]
        return result

    return views


def _critic_views(shape: Shape) -> Views:
    """Return where a stock critic's parameters lie, in the order of its `parameters()`."""

    def views(flat: Tensor) -> list[Tensor]:
        layers = layers_of(flat, CRITICS, shape.critic)
        return [
            view
            for critic in range(CRITICS)
            for layer in layers
            for view in (layer.weight[critic], layer.bias[critic].view(-1))
        ]

    return views


def _entropy_view(flat: Tensor) -> list[Tensor]:
    return [flat[-1:]]
