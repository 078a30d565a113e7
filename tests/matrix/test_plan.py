"""Target lists, and the graph of work made of them."""

from pathlib import Path

import pytest
from tests.matrix.fake_stages import write_config

from makerlab.errors import UserError
from makerlab.matrix.options import STAGES, MatrixOptions
from makerlab.matrix.plan import (
    Work,
    build_graph,
    load_experiments,
    notes,
    read_targets,
    warnings,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two configs."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "configs", "first")
    write_config(tmp_path / "configs", "second")
    return tmp_path


def listed(folder: Path, text: str) -> Path:
    """Write a target list."""
    path = folder / "targets.txt"
    path.write_text(text)
    return path


def test_empty_lines_and_comments_are_passed_over(folder: Path) -> None:
    text = "# all\n\nconfigs/first.yaml   # the control\n  configs/second.yaml\n"
    targets = read_targets(listed(folder, text))
    assert targets == [(3, Path("configs/first.yaml")), (4, Path("configs/second.yaml"))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("configs/first.yaml\nconfigs/secnd.yaml\n", "line 2: no config file configs/secnd.yaml"),
        ("configs/secnd.yaml\n", "did you mean 'second.yaml'?"),
        ("elsewhere/a.yaml\n", "line 1: no config file elsewhere/a.yaml (elsewhere is not a"),
        ("configs\n", "line 1: configs is a directory"),
        ("configs/first.yaml\n\n./configs/first.yaml\n", "line 3: configs/first.yaml is listed in"),
        ("# nothing\n", "lists no config, expected lines such as"),
    ],
)
def test_a_bad_line_is_named_with_its_number(folder: Path, text: str, expected: str) -> None:
    with pytest.raises(UserError) as error:
        read_targets(listed(folder, text))
    assert expected in str(error.value)


def test_a_missing_target_list_names_the_nearest(folder: Path) -> None:
    listed(folder, "configs/first.yaml\n")
    with pytest.raises(UserError, match=r"target.txt: no such target list; did you mean 'targets"):
        read_targets(Path("target.txt"))


@pytest.mark.parametrize(("content", "expected"), [(b"\xff\xfe", "not UTF-8"), (None, "directory")])
def test_a_target_list_is_a_text_file(folder: Path, content: bytes | None, expected: str) -> None:
    path = folder / "list.txt"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=expected):
        read_targets(path)


def test_two_configs_of_one_name_would_share_a_folder(folder: Path) -> None:
    write_config(folder / "other", "first")
    with pytest.raises(UserError, match=r"line 2: other/first.yaml has the name of configs/first"):
        read_targets(listed(folder, "configs/first.yaml\nother/first.yaml\n"))


def test_the_same_settings_under_two_names_are_refused(folder: Path) -> None:
    (folder / "configs" / "copy.yaml").write_bytes((folder / "configs/first.yaml").read_bytes())
    options = MatrixOptions(
        targets=listed(folder, "configs/first.yaml\nconfigs/copy.yaml\n"), profile=""
    )
    with pytest.raises(UserError, match=r"line 2: configs/copy.yaml has the same settings as"):
        load_experiments(options)


def test_all_bad_configs_are_named_at_once(folder: Path) -> None:
    (folder / "configs/first.yaml").write_text("env: {base_spread_bsp: 8}\n")
    (folder / "configs/second.yaml").write_text("env: {base_spread_bps: -1}\n")
    targets = listed(folder, "configs/first.yaml\nconfigs/second.yaml\n")
    with pytest.raises(UserError) as error:
        load_experiments(MatrixOptions(targets=targets, profile=""))
    assert "did you mean 'base_spread_bps'?" in str(error.value)
    assert "configs/second.yaml: 'env.base_spread_bps'" in str(error.value)


def test_missing_data_are_found_before_anything_starts(folder: Path) -> None:
    options = MatrixOptions(
        targets=listed(folder, "configs/first.yaml\n"), profile="", data="gone.csv"
    )
    with pytest.raises(UserError, match=r"gone.csv: no such file of candles; fetch it"):
        load_experiments(options)


def test_a_spread_below_the_fee_is_warned_of(folder: Path) -> None:
    write_config(folder / "configs", "first", env__base_spread_bps=1.0, env__fee_rate=0.001)
    options = MatrixOptions(targets=listed(folder, "configs/first.yaml\n"), profile="")
    (warning,) = warnings(load_experiments(options))
    assert "configs/first.yaml" in warning
    assert "half-spread" in warning


def test_keys_that_a_stronger_source_replaces_are_named(folder: Path) -> None:
    write_config(
        folder / "configs", "first", train__gamma=0.5, train__buffer_size=500, env__alpha=0.4
    )
    overlay = "train: {buffer_size: 2000, batch_size: 64}\n"
    (folder / "configs" / "profiles").mkdir()
    (folder / "configs" / "profiles" / "short.yaml").write_text(overlay)
    options = MatrixOptions(targets=listed(folder, "configs/first.yaml\n"), profile="short")
    (note,) = notes(load_experiments(options), options)
    assert note.endswith(
        "not used: train.gamma (tuning chooses); train.buffer_size (profile short sets)"
    )


def test_keys_that_tuning_chooses_count_where_nothing_is_tuned(folder: Path) -> None:
    write_config(folder / "configs", "first", train__gamma=0.5)
    targets = listed(folder, "configs/first.yaml\n")
    options = MatrixOptions(targets=targets, profile="", stages=("train", "evaluate"))
    assert list(notes(load_experiments(options), options)) == []


def test_configs_that_differ_in_nothing_that_is_used_are_named(folder: Path) -> None:
    write_config(folder / "configs", "first", train__gamma=0.5)
    write_config(folder / "configs", "second", train__gamma=0.6)
    write_config(folder / "configs", "third", env__alpha=0.4)
    text = "configs/first.yaml\nconfigs/second.yaml\nconfigs/third.yaml\n"
    options = MatrixOptions(targets=listed(folder, text), profile="")
    _, alike = notes(load_experiments(options), options)
    assert alike.startswith("configs/second.yaml differs from configs/first.yaml in nothing")


def test_each_seed_is_trained_after_tuning_and_judged_after_training() -> None:
    graph = build_graph(["a"], (0, 1), STAGES)
    assert [str(work) for work in graph] == [
        "a tune",
        "a seed 0 train",
        "a seed 0 evaluate",
        "a seed 1 train",
        "a seed 1 evaluate",
    ]
    assert graph[Work("train", "a", 1)].needs == (Work("tune", "a"),)
    assert graph[Work("evaluate", "a", 1)].needs == (Work("train", "a", 1),)


def test_stages_that_were_not_asked_for_are_not_waited_for() -> None:
    graph = build_graph(["a"], (0,), ("train",))
    assert graph[Work("train", "a", 0)].needs == ()
    both = build_graph(["a"], (0,), ("tune", "evaluate"))
    assert both[Work("evaluate", "a", 0)].needs == (Work("tune", "a"),)
