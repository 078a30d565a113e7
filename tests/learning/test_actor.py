"""Model files of strangers: read without running code, refused in one line when they don't fit."""

import base64
import contextlib
import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC, TD3

from makerlab.errors import UserError
from makerlab.learning.actor import LearnedPolicy, load_policy
from makerlab.market.episodes import OBSERVATION_NAMES

SIZE = len(OBSERVATION_NAMES)
SEEN = np.random.default_rng(0).normal(size=(20, SIZE)).astype(np.float32)


class Still(gymnasium.Env[Any, Any]):
    """Something with the right spaces."""

    def __init__(self, observations: int = SIZE) -> None:
        self.observation_space = gymnasium.spaces.Box(-10, 10, (observations,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)


def model_file(path: Path, kind: Any = SAC, env: Any = None, **network: Any) -> Path:
    kind("MlpPolicy", env or Still(), policy_kwargs=network, seed=1, device="cpu").save(path)
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_file(tmp_path_factory.mktemp("good") / "model.zip", net_arch=[8, 4])


def with_members(source: Path, path: Path, **changed: bytes | None) -> Path:
    """Copy a model file with members replaced, or left out where None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = changed.get(name.replace(".", "_"), old.read(name))
            if content is not None:
                new.writestr(name, content)
    return path


def tensors(weights: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("policy.pth"))
    loaded: dict[str, torch.Tensor] = torch.load(content, weights_only=True)
    return loaded


@pytest.mark.parametrize("network", [[8, 4], [64, 64], [16, 16, 8], [5]])
def test_a_stock_model_acts_as_stock_sac_does(tmp_path: Path, network: list[int]) -> None:
    path = model_file(tmp_path / "model.zip", net_arch=network)
    policy = load_policy(path)
    assert (policy.observation_size, policy.action_size) == (SIZE, 2)
    theirs, _ = SAC.load(path, device="cpu").predict(SEEN, deterministic=True)
    np.testing.assert_allclose(policy.act(SEEN), theirs, atol=1e-6)


def test_an_action_does_not_depend_on_the_rest_of_the_batch(good: Path) -> None:
    policy = load_policy(good)
    together = np.asarray(policy.act(SEEN))
    alone = np.concatenate([policy.act(row[None]) for row in SEEN])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_policy_keeps_the_weights_it_was_given() -> None:
    model = SAC("MlpPolicy", Still(), policy_kwargs={"net_arch": [8]}, device="cpu")
    policy = LearnedPolicy(model.policy.state_dict())
    before = policy.act(SEEN)
    with torch.no_grad():
        for weights in model.policy.parameters():
            weights.zero_()
    np.testing.assert_array_equal(policy.act(SEEN), before)


# --- code in files -------------------------------------------------------------------------------


class Armed:
    """Unpickled, it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.target), "w")


def plain_pickle(armed: Armed) -> bytes:
    return pickle.dumps(armed)


def torch_pickle(armed: Armed) -> bytes:
    return tensors({"actor.mu.weight": armed})


def old_torch_pickle(armed: Armed) -> bytes:
    buffer = io.BytesIO()
    torch.save(armed, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("form", [plain_pickle, torch_pickle, old_torch_pickle])
def test_a_malicious_policy_runs_no_code(
    tmp_path: Path, good: Path, form: Callable[[Armed], bytes]
) -> None:
    target = tmp_path / "created"
    content = form(Armed(target))
    # The weapon is loaded: whoever unpickles it creates the file.
    with contextlib.suppress(RuntimeError):
        torch.load(io.BytesIO(content), weights_only=False)
    target.unlink()
    path = with_members(good, tmp_path / "stranger.zip", policy_pth=content)
    with pytest.raises(UserError, match=r"stranger.zip: refused, .*could run code"):
        load_policy(path)
    assert not target.exists()


def test_malicious_settings_beside_the_weights_run_no_code(tmp_path: Path, good: Path) -> None:
    """Stock SAC.load unpickles these; here they are never more than text."""
    target = tmp_path / "created"
    serialized = base64.b64encode(cloudpickle.dumps(Armed(target))).decode()
    with zipfile.ZipFile(good) as archive:
        settings = json.loads(archive.read("data"))
    for name in ("policy_class", "lr_schedule", "observation_space"):
        settings[name] = {":type:": "<class 'function'>", ":serialized:": serialized}
    path = with_members(good, tmp_path / "stranger.zip", data=json.dumps(settings).encode())
    pickle.loads(base64.b64decode(serialized))  # noqa: S301 - the weapon is loaded
    target.unlink()
    np.testing.assert_array_equal(load_policy(path).act(SEEN), load_policy(good).act(SEEN))
    assert not target.exists()


# --- files that don't fit ------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_policy(path, observations=len(OBSERVATION_NAMES))
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_missing_files_and_directories_are_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.zip") == "no such model file"
    assert refused(tmp_path) == "found a directory, expected a model.zip"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    assert "damaged, or not a zip file" in refused(path)


def test_a_zip_file_without_a_policy_is_refused(tmp_path: Path, good: Path) -> None:
    path = with_members(good, tmp_path / "model.zip", policy_pth=None)
    assert refused(path) == "holds no policy.pth, is no Stable-Baselines3 model"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"garbage", "refused"), (b"", "damaged"), (tensors([1, 2]), "not those of an SAC policy")],
)
def test_a_policy_that_holds_no_weights_is_refused(
    tmp_path: Path, good: Path, content: bytes, message: str
) -> None:
    assert message in refused(with_members(good, tmp_path / "m.zip", policy_pth=content))


@pytest.mark.parametrize("kind", [PPO, TD3])
def test_models_of_other_algorithms_are_refused(tmp_path: Path, kind: Any) -> None:
    refused(model_file(tmp_path / "model.zip", kind, net_arch=[8]))


def test_a_model_of_another_observation_is_refused(tmp_path: Path) -> None:
    path = model_file(tmp_path / "model.zip", env=Still(observations=5), net_arch=[8])
    assert refused(path).startswith("the model reads observations of 5 numbers")


def test_layers_that_do_not_fit_together_are_refused(tmp_path: Path, good: Path) -> None:
    for name in ("actor.latent_pi.2.weight", "actor.latent_pi.0.weight", "actor.mu.bias"):
        weights = weights_of(good)
        weights[name] = torch.zeros(3)
        path = with_members(good, tmp_path / "model.zip", policy_pth=tensors(weights))
        assert refused(path) == "the weights are not those of an SAC policy with an MLP"


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, good: Path) -> None:
    weights = weights_of(good)
    weights["actor.mu.bias"] = torch.full((2,), float("nan"))
    path = with_members(good, tmp_path / "model.zip", policy_pth=tensors(weights))
    assert "not finite" in refused(path)


def test_another_activation_is_refused_rather_than_computed_wrongly(tmp_path: Path) -> None:
    for activation in (torch.nn.Tanh, torch.nn.LeakyReLU):
        path = model_file(tmp_path / "model.zip", net_arch=[8], activation_fn=activation)
        assert "expected ReLU" in refused(path)
    path = model_file(tmp_path / "model.zip", net_arch=[8], activation_fn=torch.nn.ReLU)
    assert load_policy(path).action_size == 2


def test_a_damaged_file_is_refused_or_acts_the_same(tmp_path: Path, good: Path) -> None:
    """A flipped bit in the actor's weights never becomes another policy."""
    whole, path = good.read_bytes(), tmp_path / "model.zip"
    generator, before = random.Random(1), load_policy(good).act(SEEN)
    noticed = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[generator.randrange(len(whole))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(load_policy(path).act(SEEN), before)
        except UserError:
            noticed += 1
    assert noticed > 50
    for length in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:length])
        refused(path)
