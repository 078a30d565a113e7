"""Launcher settings are validated like every config."""

from pathlib import Path

import pytest

from makerlab.errors import UserError
from makerlab.launchers.settings import KINDS, LocalSettings, SlurmSettings, load_launcher

SHIPPED = Path(__file__).parents[2] / "configs" / "launchers"


def test_the_kinds_need_no_file(tmp_path: Path) -> None:
    for kind, model in KINDS.items():
        assert load_launcher(kind, folder=tmp_path) == model()


@pytest.mark.parametrize("kind", KINDS)
def test_a_shipped_file_says_what_holds_without_it(kind: str) -> None:
    assert (SHIPPED / f"{kind}.yaml").is_file()
    assert load_launcher(kind, folder=SHIPPED) == KINDS[kind]()


def test_a_file_of_the_folder_goes_by_its_name_and_any_other_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "gpu.yaml").write_text("kind: slurm\npartition: gpu\ngpus: 1\n")
    expected = SlurmSettings(partition="gpu", gpus=1)
    assert load_launcher("gpu", folder=tmp_path) == expected
    assert load_launcher(str(tmp_path / "gpu.yaml"), folder=tmp_path / "none") == expected


def test_a_debugger_needs_the_process_of_the_matrix(tmp_path: Path) -> None:
    assert load_launcher("debug", debugger=True, folder=tmp_path)
    with pytest.raises(UserError, match="expected --launcher debug"):
        load_launcher("local", debugger=True, folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind: slrm\n", "kind is 'slrm'; did you mean 'slurm'?"),
        ("partition: gpu\n", "kind is missing; expected one of: debug, local, ray, slurm"),
        ("kind: slurm\npartitions: gpu\n", "unknown key 'partitions' of a slurm launcher; did you"),
        ("kind: local\njobs: 4\n", "unknown key 'jobs' of a local launcher"),
        ("kind: slurm\ngpus: -1\n", "'gpus': found -1; expected a number of at least 0"),
        ("kind: slurm\ngpus: 0.5\n", "'gpus': found 0.5; expected a whole number"),
        ("kind: slurm\nmemory_gb: 4G\n", "text, expected a number"),
        ("kind: slurm\nminutes: 2\n", "warning_seconds is 120, expected less than the time limit"),
        ("kind: slurm\nsetup: [1]\n", "'setup.0': found 1; expected text"),
        ("kind: slurm\nsetup: source a\n", "expected a list"),
        ('kind: slurm\npartition: "a b"\n', "'partition': found 'a b'"),
        ("kind: ray\ngpus: all\n", "'gpus': found 'all'"),
        ("# nothing\n", "the file is empty, expected a kind and settings"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        load_launcher("mine", folder=tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_a_misspelt_name_gets_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "gpu_long.yaml").write_text("kind: slurm\n")
    with pytest.raises(UserError, match="did you mean 'gpu_long'"):
        load_launcher("gpu_lang", folder=tmp_path)
    with pytest.raises(UserError, match="did you mean 'slurm'"):
        load_launcher("slurn", folder=tmp_path)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        LocalSettings().kind = "local"  # type: ignore[misc]
