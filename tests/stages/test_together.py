"""Several courses in one process: each with the result it would have had alone."""

import contextlib
import csv
import datetime
import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from tests.commands import (
    TINY_CONFIG,
    command,
    environment,
    run_well,
    start,
    write_tiny_config,
)

from makerlab.chaos.artefacts import artefacts
from makerlab.errors import Interrupted, UserError
from makerlab.group_command import group_command
from makerlab.learning.training import Diverged, Training
from makerlab.runs.directory import RunDirectory, find_runs, tuning_directory
from makerlab.runs.manifest import read_manifest
from makerlab.runs.stopping import StopRequest
from makerlab.stages.resolve import resolve_config
from makerlab.stages.seating import Seating
from makerlab.stages.together import Course, Ending, together
from makerlab.stages.train import train, train_course
from makerlab.stages.tune import tune

SEEDS = (0, 1, 2)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def how(folder: Path) -> dict[str, Any]:
    """Return what all courses here have in common."""
    return {
        "runs_dir": folder / "runs",
        "device": "cpu",
        "reuse": True,
        "report": lambda _: None,
        "now": now,
        "command": [],
    }


def resolved(folder: Path, seed: int, **flags: Any) -> Any:
    dotted = {name.replace("__", "."): value for name, value in flags.items()}
    path = folder / "tiny.yaml"
    return resolve_config(path, flags={"train.seed": seed, **dotted}, runs_dir=folder)


def run_of_seed(folder: Path, seed: int) -> RunDirectory:
    (run,) = (r for r in find_runs(folder / "runs") if r.name.endswith(f"seed{seed}"))
    return run


def numbers(run: RunDirectory) -> list[Any]:
    """Return all that a run has computed: models, and the learning curve but for its speed."""
    rows = list(csv.DictReader(run.progress.open()))
    curve = [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]
    return [run.model.read_bytes(), run.best_model.read_bytes(), curve]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """The numbers of seeds that were trained one by one."""
    folder = tmp_path_factory.mktemp("alone")
    write_tiny_config(folder)
    for seed in SEEDS:
        train(resolved(folder, seed), **how(folder))
    return {seed: numbers(run_of_seed(folder, seed)) for seed in SEEDS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_config(tmp_path)
    return tmp_path


def follow(folder: Path, seating: Seating, *, stop: StopRequest | None = None) -> dict[int, Ending]:
    """Train all seeds together; returns their endings."""
    endings: dict[int, Ending] = {}
    with StopRequest() as own:
        shared = {"seating": seating, "stop": stop or own}
        begins = [
            lambda seed=seed: train_course(resolved(folder, seed), **how(folder), **shared)
            for seed in SEEDS
        ]
        together(begins, seating, lambda place, ending: endings.update({SEEDS[place]: ending}))
    return endings


@pytest.mark.parametrize("size", [1, 2, 3])
def test_members_have_the_bytes_they_have_alone(
    folder: Path, alone: dict[int, list[Any]], size: int
) -> None:
    endings = follow(folder, Seating(size))
    assert all(ending.error is None for ending in endings.values())
    assert {seed: numbers(run_of_seed(folder, seed)) for seed in SEEDS} == alone


def test_a_member_that_diverges_fails_alone(
    folder: Path, alone: dict[int, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Training.take_losses

    def broken(training: Training, losses: dict[str, float]) -> None:
        nan = training.settings.seed == 1 and training.step > 120
        usual(training, dict.fromkeys(losses, float("nan")) if nan else losses)

    monkeypatch.setattr(Training, "take_losses", broken)
    endings = follow(folder, Seating(3))
    assert isinstance(endings[1].error, Diverged)
    manifest = read_manifest(run_of_seed(folder, 1).manifest)
    assert manifest["state"] == "failed" and "step 121" in manifest["error"]["message"]
    for seed in (0, 2):
        assert numbers(run_of_seed(folder, seed)) == alone[seed]


class StopAfter(StopRequest):
    """A stop that is asked for after some looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def requested(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_a_stop_saves_every_member_and_another_grouping_goes_on_with_the_same_bytes(
    folder: Path, alone: dict[int, list[Any]]
) -> None:
    endings = follow(folder, Seating(3), stop=StopAfter(400))
    assert all(isinstance(ending.error, Interrupted) for ending in endings.values())
    steps = [read_manifest(run_of_seed(folder, seed).manifest)["steps"] for seed in SEEDS]
    assert all(0 < step < 300 for step in steps)
    train(resolved(folder, 2), **how(folder))
    follow(folder, Seating(2))
    assert {seed: numbers(run_of_seed(folder, seed)) for seed in SEEDS} == alone


def test_the_batched_step_trains_members_that_come_and_go(folder: Path) -> None:
    """What a GPU does, on the CPU: one batched step, fewer seats than members."""
    seating = Seating(2, stacked=True)
    endings = follow(folder, seating)
    assert all(ending.error is None for ending in endings.values())
    scores = [read_manifest(run_of_seed(folder, seed).manifest)["best"] for seed in SEEDS]
    assert all(score is not None for score in scores)
    assert len({numbers(run_of_seed(folder, seed))[0] for seed in SEEDS}) == 3


def test_a_learner_with_global_generators_shares_no_process(folder: Path) -> None:
    flags = {"train__learner": "sb3"}
    seating = Seating(2)
    with pytest.raises(UserError, match=r"train\.learner: found 'sb3'.*only 'fast'"):
        next(train_course(resolved(folder, 0, **flags), **how(folder), seating=seating))


# --- the bare loop --------------------------------------------------------------------------------


class Counter:
    """Stands for a training: counts its turns, and breaks in one of them."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.turns, self._breaks_at = 0, breaks_at
        self.learner = None

    def advance(self) -> None:
        self.turns += 1
        if self.turns == self._breaks_at:
            raise RuntimeError("broken")


def counting(turns: int, log: list[str], name: str, **how: Any) -> Callable[[], Course[int]]:
    def course() -> Iterator[Any]:
        training = Counter(**how)
        log.append(f"{name} begins")
        try:
            while training.turns < turns:
                yield training
        finally:
            log.append(f"{name} ends")
        return training.turns

    return course  # type: ignore[return-value]


def test_no_more_are_under_way_than_there_are_seats_and_each_ends_when_it_is_done() -> None:
    log: list[str] = []
    endings: dict[int, Ending] = {}
    courses = [counting(3, log, "a"), counting(1, log, "b"), counting(2, log, "c")]
    together(courses, Seating(2), lambda place, ending: endings.update({place: ending}))
    assert log == ["a begins", "b begins", "b ends", "c begins", "a ends", "c ends"]
    assert [endings[place].result for place in range(3)] == [3, 1, 2]


def test_any_error_of_a_turn_belongs_to_its_course_alone() -> None:
    log: list[str] = []
    endings: dict[int, Ending] = {}
    courses = [counting(3, log, "a", breaks_at=2), counting(3, log, "b")]
    together(courses, Seating(2), lambda place, ending: endings.update({place: ending}))
    assert str(endings[0].error) == "broken"
    assert endings[1].result == 3


# --- the command ----------------------------------------------------------------------------------

LONG = TINY_CONFIG.replace("total_timesteps: 300", "total_timesteps: 4000").replace(
    "eval_freq: 50", "eval_freq: 500"
)


def group(*members: str, stage: str = "train", outcomes: str = "outcomes.jsonl") -> list[str]:
    flags = [word for member in members for word in ("--member", member)]
    return ["--stage", stage, "--outcomes", outcomes, *flags]


def outcomes(folder: Path) -> dict[int, int]:
    lines = (folder / "outcomes.jsonl").read_text().splitlines()
    return {each["member"]: each["status"] for each in map(json.loads, lines)}


def test_a_group_killed_with_9_and_grouped_anew_ends_with_the_same_bytes(tmp_path: Path) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    flags = [f"--config tiny.yaml --params_path none --reuse --seed {seed}" for seed in SEEDS]
    for place in (calm, killed):
        place.mkdir()
        write_tiny_config(place, text=LONG)
    for seed in SEEDS:
        train(resolved(calm, seed), **how(calm))
    process = start(killed, "scripts/run_group.py", *group(*flags))
    until = time.monotonic() + 120
    while len(list(killed.glob("runs/SAC/*/checkpoints/latest.zip"))) < 3:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(killed.glob("runs/SAC/*/model.zip"))
    train(resolved(killed, 2), **how(killed))
    run_well(killed, "scripts/run_group.py", *group(*flags))
    for seed in SEEDS:
        assert numbers(run_of_seed(killed, seed)) == numbers(run_of_seed(calm, seed)), seed


def tune_by_itself(name: str) -> None:
    runs_dir = Path("runs")
    common = {k: v for k, v in how(Path()).items() if k not in {"reuse", "command"}}
    tune(
        resolve_config(Path(f"{name}.yaml"), runs_dir=runs_dir),
        **common,
        storage=f"sqlite:///{runs_dir / 'optuna.db'}",
        study_name=None,
        best_params=tuning_directory(runs_dir, "SAC", name).best_params,
    )


def test_studies_tuned_together_are_those_tuned_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trial of each study at a time: pruning and sampling see what they see alone."""
    one_by_one, grouped = tmp_path / "one", tmp_path / "grouped"
    names = ("tiny", "other")
    for place in (one_by_one, grouped):
        place.mkdir()
        write_tiny_config(place)
        write_tiny_config(place, name="other", text=TINY_CONFIG.replace("8, ep", "9, ep"))
    monkeypatch.chdir(one_by_one)
    for name in names:
        tune_by_itself(name)
    members = [f"--config {name}.yaml" for name in names]
    run_well(grouped, "scripts/run_group.py", *group(*members, stage="tune"))
    assert artefacts(grouped / "runs") == artefacts(one_by_one / "runs")
    assert outcomes(grouped) == {0: 0, 1: 0}


def test_two_members_of_one_study_share_its_trials_and_one_finishes_it(tmp_path: Path) -> None:
    write_tiny_config(tmp_path, text=TINY_CONFIG.replace("n_trials: 3", "n_trials: 5"))
    members = ["--config tiny.yaml"] * 2
    run_well(tmp_path, "scripts/run_group.py", *group(*members, stage="tune"))
    storage = f"sqlite:///{tmp_path / 'runs' / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    assert sorted(trial.user_attrs["slot"] for trial in trials) == [0, 1, 2, 3, 4]
    begun = [trial.datetime_start for trial in trials]
    ended = [trial.datetime_complete for trial in trials]
    assert begun[1] < ended[0], "one after the other"  # type: ignore[operator]
    assert json.loads((tmp_path / "runs/SAC/tiny/best_params.json").read_text())["n_trials"] == 5


def test_members_have_exit_codes_of_their_own_and_one_stop_reaches_all(tmp_path: Path) -> None:
    write_tiny_config(tmp_path, text=LONG.replace("4000", "400000"))
    good = [f"--config tiny.yaml --params_path none --reuse --seed {seed}" for seed in (0, 1)]
    bad = "--config tinny.yaml"
    process = subprocess.Popen(
        command("scripts/run_group.py", *group(good[0], bad, good[1])),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/SAC/*/status.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert outcomes(tmp_path) == {0: 130, 1: 2, 2: 130}
    assert "error: tinny.yaml: no such config file; did you mean 'tiny.yaml'?" in errors
    assert len(list(tmp_path.glob("runs/SAC/*/checkpoints/latest.zip"))) == 2
    assert sys.executable and "Traceback" not in errors


def test_the_errors_of_members_may_go_to_no_file() -> None:
    """Trap: the process of a debugger keeps them in memory, where no crash can be written."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = group_command(["--stage", "train", "--member", "--config tinny.yaml"])
    assert code == 2
    assert said.getvalue().startswith("error: tinny.yaml: no such config file")
