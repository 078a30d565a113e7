"""Bad input: one clear line, the exit code that is due, nothing half written, nothing lost.

The cases are in tests/bad_input, their messages in docs/errors.md.
"""

import re
from pathlib import Path

import pytest
import torch

from tests.bad_input.all_cases import CASES
from tests.bad_input.case import Case
from tests.bad_input.lab import make_template
from tests.bad_input.model_cases import MARK
from tests.bad_input.table import documented_rows, outcome_of, row
from tests.commands import run


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that went through all stages, never to be changed."""
    folder = tmp_path_factory.mktemp("template")
    make_template(folder)
    return folder


@pytest.fixture(scope="module")
def documented() -> dict[str, str]:
    """The rows of docs/errors.md by what the user did."""
    return {line.split(" | ")[0].removeprefix("| "): line for line in documented_rows()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"\W+", "_", case.did))
def test_bad_input(
    case: Case,
    template: Path,
    documented: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if "--device mps" in case.arguments and torch.backends.mps.is_available():
        pytest.skip("this machine has the device that the case misses")
    folder = tmp_path / "lab"
    try:
        outcome = outcome_of(case, template, folder)
    except OSError as error:
        if not case.disk:
            raise
        pytest.skip(f"no file system can be mounted here ({error})")
    assert outcome.code == case.code, outcome.err
    assert case.says in outcome.message
    if outcome.err:
        assert outcome.err.startswith("error: ") and len(outcome.err.splitlines()) == 1
    assert capfd.readouterr().err == ""
    assert _unexpected(outcome.lost, case.changes) == []
    assert _unexpected(outcome.added, case.adds) == []
    assert outcome.debris == [] or "manifest is gone" in case.did
    assert not list(folder.rglob(MARK))
    assert documented[case.did] == row(case, outcome)


def test_the_document_has_every_case_and_no_other() -> None:
    rows = [line.split(" | ")[0].removeprefix("| ") for line in documented_rows()]
    assert rows == [case.did for case in CASES]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    "script",
    [
        "train_mm_sac.py",
        "tune_mm_sac.py",
        "scripts/evaluate_policy.py",
        "scripts/analyze_experiments.py",
        "scripts/audit.py",
        "scripts/fetch_candles.py",
        "scripts/calibrate_fills.py",
        "scripts/replay_l2.py",
        "scripts/run_matrix.py",
        "scripts/show_status.py",
        "scripts/follow_log.py",
        "scripts/compare_runs.py",
        "scripts/compare_with_optimum.py",
        "scripts/start_dashboards.py",
        "scripts/export_mlflow.py",
    ],
)
def test_every_script_turns_bad_input_into_one_line_and_code_2(script: str, tmp_path: Path) -> None:
    result = run(tmp_path, script, "--no_such_flag")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def _unexpected(paths: list[str], patterns: tuple[str, ...]) -> list[str]:
    return [path for path in paths if not any(re.fullmatch(p, path) for p in patterns)]
