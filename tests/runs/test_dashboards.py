"""Dashboards that others wrote, on the files of our runs."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import optuna
import pytest
from tests.commands import command, environment, run

from makerlab.errors import Failed, UserError
from makerlab.runs.dashboards import HOST, Dashboard, dashboards_of, free_port, serve
from makerlab.tuning.address import own_storage, read_address, storages_of
from makerlab.tuning.storage import open_storage


@pytest.fixture(params=["database", "journal"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with runs and a study of one trial."""
    (tmp_path / "runs").mkdir()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    own = own_storage(tmp_path / "runs", shared=request.param == "journal")
    study = optuna.create_study(study_name="mine", storage=open_storage(read_address(own)))
    study.add_trial(optuna.trial.create_trial(value=1.0))
    return tmp_path


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def test_both_answer_and_none_is_left_after_ctrl_c(folder: Path) -> None:
    arguments = ("--optuna_port", free_port(23080), "--tensorboard_port", free_port(23180))
    process = subprocess.Popen(
        command("scripts/start_dashboards.py", *arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    urls = [found.group() for line in lines if (found := re.search(r"http://\S+", line))]
    assert len(urls) == 2, lines
    with urllib.request.urlopen(f"{urls[0]}api/studies", timeout=20) as answer:
        studies = json.loads(answer.read())["study_summaries"]
    assert [study["study_name"] for study in studies] == ["mine"]
    with urllib.request.urlopen(f"{urls[1]}data/environment", timeout=20) as answer:
        assert "runs" in json.loads(answer.read())["data_location"]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    ports = [int(url.rsplit(":")[-1].strip("/")) for url in urls]
    assert not any(is_open(port) for port in ports)


def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert free_port(taken) > taken


def test_a_password_is_not_seen_among_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKERLAB_STORAGE", "postgresql://me:secret@host/studies")
    studies = storages_of(tmp_path, None)
    first, _ = dashboards_of(tmp_path, studies, optuna_port=8080, tensorboard_port=6006)
    assert "secret" not in " ".join([first.title, *first.command])
    assert "me@host/studies" in first.title
    assert "me:secret@host" in first.environment["MAKERLAB_STORAGE"]


def test_without_studies_only_tensorboard_is_started(tmp_path: Path) -> None:
    found = dashboards_of(tmp_path, {}, optuna_port=8080, tensorboard_port=6006)
    assert [dashboard.title for dashboard in found] == ["TensorBoard"]


def test_one_that_ends_by_itself_is_said_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit('no database here')")
    dashboard = Dashboard("Broken", "broken", 23999, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(Failed, match="ended by itself: no database here"):
            serve([dashboard], lambda line: None)


def test_no_runs_and_bad_ports_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory of runs"):
        dashboards_of(tmp_path / "none", {}, optuna_port=1, tensorboard_port=2)
    with pytest.raises(UserError, match="none: no such file of studies"):
        storages_of(tmp_path, "journal:none")
    result = run(tmp_path, "scripts/start_dashboards.py", "--optuna_port", 80)
    assert result.returncode == 2
    assert "expected a port from 1024 to 65535" in result.stderr


def test_the_same_python_is_used() -> None:
    assert Dashboard("T", "tensorboard.main", 6006, ()).command[0] == sys.executable
