"""Every command of the documents, typed in a copy of the project, with trainings of seconds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.blocks import (
    DOCUMENTS,
    NEEDS_DATA,
    NOT_TYPED,
    REPOSITORY,
    Block,
    blocks,
    commands,
)

# Environment variables win over profiles and files: the same commands, a hundredth of the work.
SMALL = {
    "MAKERLAB__TRAIN__TOTAL_TIMESTEPS": "400",
    "MAKERLAB__TRAIN__LEARNING_STARTS": "50",
    "MAKERLAB__TRAIN__EVAL_FREQ": "200",
    "MAKERLAB__TRAIN__BUFFER_SIZE": "1000",
    "MAKERLAB__TUNE__TRAIN_TIMESTEPS": "200",
    "MAKERLAB__TUNE__N_TRIALS": "2",
    "MAKERLAB__TUNE__RESCORE_SEEDS": "1",
    "MAKERLAB__EVALUATE__EPISODES": "6",
    "MAKERLAB__EVALUATE__BOOTSTRAP_SAMPLES": "100",
}
RECORDED = REPOSITORY.parent / "shared" / "data"
# Names that the documents call a file by, where it lies under another one.
ALSO_CALLED = {"btcusdt_15m_2024.csv": "btcusdt_15m.csv"}
TYPED = [document for document in DOCUMENTS if commands(document)]

pytestmark = pytest.mark.slow


def copy_of_the_project(folder: Path) -> None:
    """Copy what git would give, with this environment in place of a new one."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in names:
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    _lend_environment(folder)
    (folder / "data").mkdir()
    for path in RECORDED.glob("*.[cg]*") if RECORDED.is_dir() else ():
        for name in (path.name, ALSO_CALLED.get(path.name, path.name)):
            if not (folder / "data" / name).is_symlink():
                (folder / "data" / name).symlink_to(path.resolve())


def _lend_environment(folder: Path) -> None:
    """Let this environment pass for the project's own, installed from its present files."""
    (folder / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith(".installed"):
            (folder / ".venv" / entry.name).symlink_to(entry)
    sum_of_files = subprocess.run(
        "cat pyproject.toml constraints.txt | cksum",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("run", "dev", "dashboard"):
        (folder / ".venv" / f".installed-{name}").write_text(sum_of_files)


def type_in(folder: Path, text: str, **more: str) -> None:
    environment = {**os.environ, **SMALL, "OMP_NUM_THREADS": "1", **more}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert result.returncode == 0, f"{text}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which a first small matrix has run; every document gets its own."""
    folder = tmp_path_factory.mktemp("project")
    copy_of_the_project(folder)
    type_in(folder, "make matrix SEEDS='0 1'")
    return folder


@pytest.mark.parametrize("document", TYPED, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_a_document_says_can_be_typed(document: Path, project: Path, tmp_path: Path) -> None:
    own = shutil.copytree(project, tmp_path / "project", symlinks=True)
    lacking = False
    for block in commands(document):
        if not NOT_TYPED.keys() & set(block.words):
            if NEEDS_DATA in block.words and not RECORDED.is_dir():
                lacking = True
            else:
                type_in(own, block.text)
    if lacking:
        pytest.skip(f"the recorded data are not here ({RECORDED})")


def batch_scripts() -> list[Block]:
    document = REPOSITORY / "docs" / "how_to" / "slurm_by_hand.md"
    return [block for block in blocks(document) if block.language == "bash"]


def test_the_batch_scripts_do_what_they_say_for_each_task_of_the_array(
    project: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(project, tmp_path / "project", symlinks=True)
    tune, train = batch_scripts()
    type_in(own, tune.text, SLURM_ARRAY_TASK_ID="2")
    type_in(own, train.text, SLURM_ARRAY_TASK_ID="4")
    (run,) = own.glob("runs/SAC/*_turnover_seed1")
    assert (run / "evaluation" / "metrics.json").is_file()
