"""What counts as a difference between two matrices."""

import json
from pathlib import Path

import pytest

from makerlab.chaos.artefacts import DoubledError, differences, final_files


def run(runs_dir: Path, stamp: str, *, seed: int = 0, **manifest: object) -> Path:
    folder = runs_dir / "SAC" / f"{stamp}_narrow_seed{seed}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "model.zip").write_bytes(b"weights")
    return folder


def test_clock_times_make_no_difference(tmp_path: Path) -> None:
    run(tmp_path / "one", "20240101_000000", started="yesterday", seed=0, steps=5)
    run(tmp_path / "other", "20240102_111111", started="today", seed=0, steps=5)
    found = [final_files(tmp_path / name) for name in ("one", "other")]
    assert len(found[0]) == 2 and differences(*found) == []


def test_each_other_difference_is_named_with_its_place(tmp_path: Path) -> None:
    run(tmp_path / "one", "20240101_000000", steps=5, tuned={"params": {"tau": 0.1}})
    folder = run(tmp_path / "other", "20240101_000000", steps=5, tuned={"params": {"tau": 0.2}})
    (folder / "model.zip").write_bytes(b"other weights")
    run(tmp_path / "other", "20240101_000000", seed=1)
    lines = differences(final_files(tmp_path / "one"), final_files(tmp_path / "other"))
    name = "SAC/narrow_seed"
    assert lines == [
        f"{name}0/manifest.json/tuned/params/tau: 0.2, undisturbed 0.1",
        f"{name}0/model.zip: 13 bytes, undisturbed 7 bytes",
        f"{name}1/manifest.json: {{'tuned_params': None}}, undisturbed not there",
        f"{name}1/model.zip: 7 bytes, undisturbed not there",
    ]
    assert len(differences(final_files(tmp_path / "other"), final_files(tmp_path / "one"))) == 4


def test_a_run_that_is_there_twice_is_told(tmp_path: Path) -> None:
    run(tmp_path, "20240101_000000")
    run(tmp_path, "20240101_000001")
    with pytest.raises(DoubledError, match="is there twice"):
        final_files(tmp_path)
