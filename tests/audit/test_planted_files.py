"""Faults planted in the files of a finished run: each is caught, by the checks that it is due."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.audit.lab import (
    MANIFEST,
    METRICS,
    RUN,
    SUMMARY,
    copy_of,
    edit_json,
    edited_csv,
    faults,
    make_run,
    numbers,
)

Harm = Callable[[Path], object]

EPISODE = RUN / "evaluation/test_episode_00.csv"
AGAIN = "metrics: evaluated again"
REPORTED = "reported: baselines, intervals"


@dataclass(frozen=True)
class Fault:
    """What somebody did, the checks that fail, and words that the evidence must have."""

    did: str
    harm: Harm
    caught_by: tuple[str, ...]
    says: str


def metrics(*keys: str, value: Any) -> Harm:
    """Put another value into metrics.json."""
    return lambda folder: edit_json(folder / METRICS, lambda content: _put(content, keys, value))


def manifest(*keys: str, value: Any) -> Harm:
    """Put another value into manifest.json."""
    return lambda folder: edit_json(folder / MANIFEST, lambda content: _put(content, keys, value))


def _put(content: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        content = content[key]
    assert content[keys[-1]] != value
    content[keys[-1]] = value


def in_order(*harms: Harm) -> Harm:
    """Do one after another."""

    def harm(folder: Path) -> None:
        for one in harms:
            one(folder)

    return harm


def summary(column: str, text: str) -> Harm:
    """Put another text into the run's row of the summary."""

    def harm(folder: Path) -> None:
        with edited_csv(folder / SUMMARY) as rows:
            assert rows[0][column] not in {"", text}
            rows[0][column] = text

    return harm


def config(old: str, new: str) -> Harm:
    """Edit the stored config."""

    def harm(folder: Path) -> None:
        path = folder / RUN / "config.yaml"
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))

    return harm


def _flip_fees(folder: Path) -> None:
    """Turn fees into income, and keep the books in balance."""
    with edited_csv(folder / EPISODE) as rows:
        gained = 0.0
        for row in rows:
            gained += 2.0 * float(row["fees"])
            row["fees"] = str(-float(row["fees"]))
            for name in ("cash", "equity"):
                row[name] = str(float(row[name]) + gained)
        assert gained > 0.0


def _fill_by_its_own_bar(folder: Path) -> None:
    """Move a fill into the row after it, where the bar did not trade through that quote."""
    with edited_csv(folder / EPISODE) as rows:
        lows = numbers(rows, "bid")
        filled = numbers(rows, "bid_filled")
        row = next(n for n in range(len(rows) - 2) if filled[n] > 0.0 and filled[n + 1] == 0.0)
        assert lows[row] > 0.0
        for name in ("bid", "bid_filled"):
            rows[row + 1][name] = rows[row][name]


def _hold_too_much(folder: Path) -> None:
    with edited_csv(folder / EPISODE) as rows:
        rows[5]["inventory"] = "1.5"


def _swap_model(other: str) -> Harm:
    def harm(folder: Path) -> None:
        shutil.copy(folder.parent / other / "best_model.zip", folder / RUN / "best_model.zip")

    return harm


def _drop_baseline(folder: Path) -> None:
    edit_json(folder / METRICS, lambda content: content["test"]["baselines"].pop("random"))


def _drop_intervals(content: dict[str, Any]) -> None:
    for name in ("valid", "test"):
        content[name]["net_profit"] = {"value": content[name]["net_profit"]["value"]}


def _drop_trials(content: dict[str, Any]) -> None:
    del content["tuned_params"]


PROFIT = ("test", "net_profit", "value")

FAULTS = [
    Fault(
        "edits a metric",
        metrics(*PROFIT, value=123.4),
        ("accounts: metrics", AGAIN, "metrics: summary"),
        "test.net_profit is 123.4",
    ),
    Fault(
        "edits a metric, and the summary alike",
        in_order(metrics("test", "sharpe", "value", value=3.0), summary("test_sharpe", "3.0")),
        (AGAIN,),
        "test.sharpe.value is 3.0",
    ),
    Fault(
        "edits a baseline's metric",
        metrics("test", "baselines", "inventory_skew", "sortino", "high", value=-9.0),
        (AGAIN,),
        "baselines.inventory_skew.sortino.high is -9.0",
    ),
    Fault(
        "edits the summary alone",
        summary("test_net_profit", "123.4"),
        ("metrics: summary",),
        "test_net_profit is 123.4",
    ),
    Fault(
        "edits the trials in the summary",
        summary("trials", "1"),
        ("metrics: summary",),
        "trials is 1, expected 2",
    ),
    Fault(
        "flips the sign of fees, the books in balance",
        _flip_fees,
        ("accounts: rows", "accounts: metrics", AGAIN),
        "fees = maker rate * notional",
    ),
    Fault(
        "lets a quote fill by a bar that did not reach it",
        _fill_by_its_own_bar,
        ("accounts: rows", "accounts: fills", AGAIN),
        "was filled, but its bar reached only",
    ),
    Fault(
        "holds more than the limit",
        _hold_too_much,
        ("accounts: rows", AGAIN),
        "beyond env.max_inventory",
    ),
    Fault(
        "records a training segment that reaches into the test",
        manifest("split", "train", "end", value="2000-01-02T20:00:00Z"),
        ("segments: ranges",),
        "they overlap",
    ),
    Fault(
        "stores a config that trains on later bars",
        config(
            "  train: null\n  valid: null\n  test: null",
            "  train: 0.75\n  valid: 0.1\n  test: 0.15",
        ),
        ("config: manifest", "segments: ranges", "model: choice", AGAIN),
        "split.train of the manifest",
    ),
    Fault(
        "records other data",
        manifest("data", "sha256", value="0" * 64),
        ("metrics: summary", "segments: data"),
        "data.sha256",
    ),
    Fault(
        "tunes in another environment",
        lambda folder: edit_json(
            folder / "runs/SAC/tiny/best_params.json",
            lambda content: _put(content, ("environment_key",), "0" * 64),
        ),
        ("segments: data",),
        "best_params.json environment_key",
    ),
    Fault(
        "puts another config's model in its place",
        _swap_model("other_network"),
        ("model: config", "model: choice", AGAIN),
        "layers of the weights",
    ),
    Fault(
        "puts another seed's model in its place",
        _swap_model("other_seed"),
        ("model: config", "model: choice", AGAIN),
        "best_model.zip: seed is 8, expected 3",
    ),
    Fault(
        "stores another learning rate than was trained",
        config("  seed: 3", "  seed: 4"),
        ("config: manifest", "config: flags", "model: config"),
        "train.seed in config.yaml is 4, expected 3",
    ),
    Fault(
        "leaves a flag out of the config",
        config("  gamma: 0.97", "  gamma: 0.98"),
        ("config: manifest", "config: flags", "model: config"),
        "train.gamma in config.yaml is 0.98, expected 0.97",
    ),
    Fault(
        "records other tuned parameters",
        manifest("tuned_params", "params", "tau", value=0.5),
        ("config: tuned parameters",),
        "train.tau in config.yaml",
    ),
    Fault(
        "records fewer trials than there were",
        manifest("tuned_params", "n_trials", value=40),
        ("config: tuned parameters", "metrics: summary"),
        "n_trials is 40, the study has 2",
    ),
    Fault(
        "says that synthetic data are real",
        in_order(
            manifest("data_source", value="file"),
            metrics("data_source", value="file"),
            summary("data_source", "file"),
        ),
        ("synthetic data",),
        "data_source is file, expected synthetic",
    ),
    Fault(
        "names the synthetic file after a market",
        manifest("data", "path", value="data/btcusdt_1m.parquet"),
        ("synthetic data",),
        "under the name of a market",
    ),
    Fault(
        "leaves intervals out",
        lambda folder: edit_json(folder / METRICS, _drop_intervals),
        (AGAIN, "metrics: summary", REPORTED),
        "net_profit has no interval",
    ),
    Fault(
        "leaves a baseline out",
        _drop_baseline,
        ("accounts: metrics", AGAIN, REPORTED),
        "baselines missing: random",
    ),
    Fault(
        "compares with a weak baseline",
        metrics("test", "best_baseline", value="random"),
        (AGAIN, REPORTED),
        "not the best on validation",
    ),
    Fault(
        "tells other fill assumptions",
        metrics("fill_model", "volume_participation", value=0.01),
        ("reported: assumptions, trials",),
        "fill_model",
    ),
    Fault(
        "says nothing of trials",
        lambda folder: edit_json(folder / MANIFEST, _drop_trials),
        ("metrics: summary", "reported: assumptions, trials"),
        "says nothing of tuning",
    ),
]


@pytest.fixture(scope="module")
def template(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clean run and, beside it, models of another network and of another seed."""
    folder = tmp_path_factory.mktemp("harmed")
    for name, flags in {
        "other_network": ("--set", "train.net_arch=[4, 4]"),
        "other_seed": ("--seed", "8"),
    }.items():
        (folder / name).mkdir()
        made = folder / f"{name}_made"
        made.mkdir()
        run = make_run(made, "--params_path", "none", *flags)
        shutil.copy(made / run / "best_model.zip", folder / name)
    shutil.copytree(clean, folder / "clean")
    return folder


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.did.replace(" ", "_"))
def test_is_caught(fault: Fault, template: Path, tmp_path: Path) -> None:
    for name in ("other_network", "other_seed"):
        shutil.copytree(template / name, tmp_path / name)
    folder = copy_of(template / "clean", tmp_path / "harmed")
    fault.harm(folder)
    found = faults(folder)
    assert set(found) == set(fault.caught_by), found
    assert any(fault.says in evidence for evidence in found.values()), found
