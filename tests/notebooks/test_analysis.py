"""The notebook runs from top to bottom, and is kept without results of anybody's runs."""

from pathlib import Path

import pytest
from tests.made_up_runs import MadeUpRun, write_run

nbformat = pytest.importorskip("nbformat", reason="Jupyter is not installed (extra `notebook`)")
nbclient = pytest.importorskip("nbclient", reason="Jupyter is not installed (extra `notebook`)")

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "analysis.ipynb"
CURVE = "step,episode_reward,valid_score\n100,-3.5,\n200,-2.5,1.5\n400,-2.0,2.5\n"


def test_it_runs_from_top_to_bottom_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, fee in (("env_baseline", 0.0001), ("env_aggressive_spread", 0.0)):
        for seed in range(2):
            made = MadeUpRun(config_name=name, seed=seed, values={"env.fee_rate": fee})
            (write_run(tmp_path / "runs", made) / "progress.csv").write_text(CURVE)
    # Jupyter draws inline unless told otherwise, as the other tests are.
    monkeypatch.delenv("MPLBACKEND")
    monkeypatch.setenv("MAKERLAB_RUNS", str(tmp_path / "runs"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 3
    assert not any(output["output_type"] == "stream" for output in outputs), "warnings"


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
