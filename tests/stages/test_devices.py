"""Which device trains: the one asked for, or the fastest of those that are there."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.commands import write_tiny_config

from makerlab.config import TrainSettings
from makerlab.errors import UserError
from makerlab.stages.devices import DeviceChoice, decide_device, seconds_per_step
from makerlab.stages.resolve import resolve_config
from makerlab.stages.train import resume, train
from makerlab.tasks import Workbench, open_workbench

SETTINGS = TrainSettings(net_arch=(8,), batch_size=16, buffer_size=200)


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    folder = tmp_path_factory.mktemp("devices")
    resolved = resolve_config(write_tiny_config(folder), runs_dir=folder)
    return open_workbench(resolved.config, synthetic_folder=folder)


def decided(workbench: Workbench, seconds: dict[str, float], **how: Any) -> tuple[Any, list[str]]:
    """Decide by made-up times; returns the choice and what was said."""
    said: list[str] = []
    choice = decide_device(
        "auto",
        workbench,
        SETTINGS,
        said.append,
        measure=lambda device, *_: seconds[device],
        available=tuple(seconds),
        **how,
    )
    return choice, said


@pytest.mark.parametrize(
    ("seconds", "device"),
    [
        ({"cpu": 0.0004, "cuda": 0.0013}, "cpu"),
        ({"cpu": 0.0062, "cuda": 0.0013}, "cuda"),
        ({"cpu": 0.003, "mps": 0.0021}, "mps"),
        ({"cpu": 0.001, "cuda": 0.001}, "cpu"),
    ],
)
def test_auto_takes_the_fastest_and_says_so_once(
    workbench: Workbench, seconds: dict[str, float], device: str
) -> None:
    choice, said = decided(workbench, seconds)
    assert choice.device == device
    assert choice.to_dict() == {"asked": "auto", "seconds_per_step": seconds}
    (line,) = said
    assert line.startswith(f"--device auto takes {device}: a step takes cpu ")
    assert all(f"{name} {1e3 * value:.3g} ms" in line for name, value in seconds.items())


def test_with_a_cpu_alone_nothing_is_measured_and_nothing_said(workbench: Workbench) -> None:
    choice = decide_device("auto", workbench, SETTINGS, pytest.fail, measure=pytest.fail,
                           available=("cpu",))  # fmt: skip
    assert choice == DeviceChoice("cpu", "auto")


def test_the_device_asked_for_is_taken_unmeasured(workbench: Workbench) -> None:
    choice = decide_device("cpu", workbench, SETTINGS, pytest.fail, measure=pytest.fail)
    assert choice == DeviceChoice("cpu", "cpu")
    with pytest.raises(UserError, match="--device nowhere: not available"):
        decide_device("nowhere", workbench, SETTINGS, pytest.fail)


@pytest.mark.parametrize("learner", ["fast", "sb3"])
def test_a_step_is_timed_by_the_clock_over_whole_turns(workbench: Workbench, learner: str) -> None:
    ticks = iter([10.0, 16.0])
    settings = SETTINGS.model_copy(update={"learner": learner, "train_freq": 2})
    seconds = seconds_per_step("cpu", workbench, settings, 1, clock=lambda: next(ticks))
    assert seconds == pytest.approx(6.0 / (60 * 2))


def test_a_run_remembers_its_device_and_goes_on_there(tmp_path: Path) -> None:
    """Trap: `auto` chooses anew when a run is continued, and other arithmetic goes on with it."""
    resolved = resolve_config(write_tiny_config(tmp_path), runs_dir=tmp_path)
    how = {"device": "auto", "report": lambda _: None, "now": datetime.datetime.now}
    done = train(resolved, runs_dir=tmp_path, reuse=False, **how)
    manifest = json.loads(done.manifest.read_text())
    assert manifest["device_choice"] == {"asked": "auto", "seconds_per_step": {}}
    done.manifest.write_text(json.dumps(manifest | {"state": "running", "device": "elsewhere"}))
    with pytest.raises(UserError, match="--device elsewhere: not available on this machine"):
        resume(done, **how)
    with pytest.raises(UserError, match="was started on elsewhere, not on cpu"):
        resume(done, **how | {"device": "cpu"})
