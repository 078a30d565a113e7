"""Model files: damaged, foreign, malicious."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tests.bad_input.case import Case, Prepare, all_of, writes
from tests.bad_input.lab import RUN
from tests.bad_input.run_cases import cut, interrupt, remove, with_key

from makerlab.files import write_json

EVALUATE = f"--model_path {RUN}"
MODEL = RUN / "best_model.zip"
MARK = "code_was_run"
_JUDGED = (f"{RUN}/evaluation.*",)


class _Malice:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (MARK,))


def member(name: str, content: bytes | None) -> Prepare:
    """Replace a member of the model file, or leave it out."""

    def prepare(folder: Path) -> None:
        with zipfile.ZipFile(folder / MODEL) as archive:
            members = {entry: archive.read(entry) for entry in archive.namelist()}
        members.pop(name)
        if content is not None:
            members[name] = content
        with zipfile.ZipFile(folder / MODEL, "w") as archive:
            for entry, data in members.items():
                archive.writestr(entry, data)

    return prepare


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Prepare:
    """Change the weights of the model."""

    def prepare(folder: Path) -> None:
        with zipfile.ZipFile(folder / MODEL) as archive:
            found = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)
        change(found)
        buffer = io.BytesIO()
        torch.save(found, buffer)
        member("policy.pth", buffer.getvalue())(folder)

    return prepare


def settings(**changes: Any) -> Prepare:
    """Change the settings stored in the model."""

    def prepare(folder: Path) -> None:
        with zipfile.ZipFile(folder / MODEL) as archive:
            found = json.loads(archive.read("data"))
        member("data", json.dumps(found | changes).encode())(folder)

    return prepare


def _pickled(content: Any) -> bytes:
    return pickle.dumps(content)


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _observations_of_two(found: dict[str, torch.Tensor]) -> None:
    name = "actor.latent_pi.0.weight"
    found[name] = found[name][:, :2].clone()


def _no_numbers(found: dict[str, torch.Tensor]) -> None:
    for tensor in found.values():
        tensor.fill_(float("nan"))


def _alone(folder: Path) -> None:
    (folder / "downloads").mkdir()
    shutil.copy(folder / MODEL, folder / "downloads/model.zip")


MODELS = [
    Case(
        "judges a run that is not there",
        "evaluate",
        "--model_path runs/SAC/2026_tiny",
        "no such run directory or model file",
    ),
    Case(
        "asks for fill models where orders are simulated",
        "evaluate",
        f"{EVALUATE} --config theory.yaml --fill_sensitivity",
        "fill models are those of candles, this run's env.market is cartea_jaimungal",
        writes("theory.yaml", "env: {market: cartea_jaimungal, order_size: 1, max_inventory: 5}\n"),
    ),
    Case("judges a folder that is no run", "evaluate", "--model_path runs", "holds no config.yaml"),
    Case(
        "judges a model file without its run",
        "evaluate",
        "--model_path downloads/model.zip",
        "config.yaml",
        _alone,
    ),
    Case(
        "judges a run that has no model yet",
        "evaluate",
        EVALUATE,
        "no such model file",
        all_of(interrupt, remove(MODEL)),
    ),
    Case("has a model file that is cut off", "evaluate", EVALUATE, "damaged", cut(MODEL)),
    Case(
        "has a text for a model file",
        "evaluate",
        EVALUATE,
        "damaged, or not a zip file",
        writes(str(MODEL), "weights\n"),
    ),
    Case(
        "has another zip file for a model",
        "evaluate",
        EVALUATE,
        "no policy.pth",
        member("policy.pth", None),
    ),
    Case(
        "has a model whose settings are damaged",
        "evaluate",
        EVALUATE,
        "damaged",
        member("data", b"{"),
    ),
    Case(
        "has a malicious pickle for weights",
        "evaluate",
        EVALUATE,
        "refused",
        member("policy.pth", _pickled(_Malice())),
    ),
    Case(
        "has malice among the weights",
        "evaluate",
        EVALUATE,
        "refused",
        member("policy.pth", _saved({"actor.mu.weight": _Malice()})),
    ),
    Case(
        "has weights that are not SAC's",
        "evaluate",
        EVALUATE,
        "not those of an SAC policy",
        member("policy.pth", _saved({"q_net.weight": torch.zeros(2, 2)})),
    ),
    Case(
        "has a model that reads other observations",
        "evaluate",
        EVALUATE,
        "reads observations of 2 numbers",
        weights(_observations_of_two),
    ),
    Case("has a model of NaN", "evaluate", EVALUATE, "not finite numbers", weights(_no_numbers)),
    Case(
        "has a model with another activation",
        "evaluate",
        EVALUATE,
        "expected ReLU",
        settings(policy_kwargs={"activation_fn": "<class 'torch.nn.Tanh'>"}),
    ),
    Case(
        "judges in an environment with other actions",
        "evaluate",
        f"{EVALUATE} --set env.allow_no_quote=true",
        "gives 2 actions",
    ),
    Case(
        "judges in another environment that is not there",
        "evaluate",
        f"{EVALUATE} --config other.yaml",
        "no such config file",
    ),
    Case("judges into a file", "evaluate", f"{EVALUATE} --output_dir candles.csv", "candles.csv"),
]


def _another_config(*, folder: str = "a", **changes: Any) -> Prepare:
    """Copy the run as one of a config named `other`, with changes to its manifest."""

    def prepare(lab: Path) -> None:
        copy = lab / "runs" / "SAC" / f"20260101_000001_other_{folder}_seed0"
        shutil.copytree(lab / RUN, copy)
        path = copy / "manifest.json"
        write_json(path, json.loads(path.read_text()) | {"config_name": "other"} | changes)

    return prepare


ANALYSES = [
    Case(
        "analyzes a folder that is not there",
        "analyze",
        "--runs_dir run",
        "no such directory of runs",
    ),
    Case("analyzes a file", "analyze", "--runs_dir candles.csv", "found a file"),
    Case(
        "analyzes a folder without runs",
        "analyze",
        "--runs_dir runs/synthetic",
        "holds no runs yet",
    ),
    Case(
        "sorts by a column that is not there",
        "analyze",
        "--sort_by valid_sharp",
        "did you mean 'valid_sharpe'?",
    ),
    Case("plots a setting that is not there", "analyze", "--plot_param env.fee", "env.fee"),
    Case("plots a metric that is not there", "analyze", "--plot_metric sharpe", "--plot_metric"),
    Case(
        "reports on a folder that is not there",
        "report",
        "--runs_dir run",
        "no such directory of runs",
    ),
    Case(
        "compares with a config that is not there",
        "compare_runs",
        "tiny tinny",
        "did you mean 'tiny'?",
    ),
    Case("compares a config with itself", "compare_runs", "tiny tiny", "given twice"),
    Case(
        "compares a config with a run",
        "compare_runs",
        f"tiny {RUN.name}",
        "expected two runs or two configs",
    ),
    Case(
        "compares a config of which no run is evaluated",
        "compare_runs",
        "tiny other",
        "finished and evaluated",
        _another_config(state="failed"),
    ),
    Case(
        "compares configs of different profiles",
        "compare_runs",
        "tiny other",
        "under the same profile",
        _another_config(profile="day"),
    ),
    Case(
        "compares two settings of one name with another config",
        "compare_runs",
        "other tiny",
        "2 settings or algorithms have this name",
        all_of(_another_config(), _another_config(folder="b", config={"env": {"fee_rate": 0.5}})),
    ),
    Case("reports on a file", "report", "--runs_dir candles.csv", "found a file"),
    Case(
        "reports by a column that is not there",
        "report",
        "--sort_by valid_sharp",
        "did you mean 'valid_sharpe'?",
    ),
    Case(
        "reports on a run whose curve is damaged",
        "report",
        "",
        "progress.csv: not readable",
        writes(str(RUN / "progress.csv"), "step,valid_score\n1\n1,2,3\n"),
        code=0,
        adds=("runs/.*report.html",),
        changes=("runs/.*progress.csv",),
    ),
    Case("wants fewer rows than none", "analyze", "--top_k -1", "--top_k"),
    Case(
        "has a run whose metrics are cut off",
        "analyze",
        "",
        "metrics.json: damaged",
        cut(RUN / "evaluation/metrics.json"),
        code=0,
        adds=("runs/runs_.*(csv|txt|xlsx)", "runs/.*report.html"),
    ),
    Case(
        "has a run whose metrics are words",
        "analyze",
        "",
        "metrics.json: damaged",
        with_key(RUN / "evaluation/metrics.json", "valid", "good"),
        code=0,
        adds=("runs/runs_.*(csv|txt|xlsx)", "runs/.*report.html"),
    ),
    Case(
        "has a run whose manifest is cut off",
        "analyze",
        "",
        "manifest.json: damaged",
        cut(RUN / "manifest.json"),
        code=0,
        adds=("runs/runs_.*(csv|txt|xlsx)", "runs/.*report.html"),
    ),
]
