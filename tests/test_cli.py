"""Exit codes and messages: 0 done, 2 the user's to mend, 1 our fault, 128 + signal when stopped."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from makerlab.cli import ArgumentParser, exit_code_of
from makerlab.errors import Interrupted, UserError, nearest


def raising(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


def system_error(number: int, *, path: str = "runs/SAC") -> OSError:
    return OSError(number, os.strerror(number), path)


CODES: dict[str, tuple[BaseException, int, str]] = {
    "bad input": (UserError("config.yaml: no"), 2, "error: config.yaml: no\n"),
    "lines are joined": (UserError("one\n  two"), 2, "error: one two\n"),
    "terminated": (Interrupted("stopped at step 3", 15), 143, "stopped at step 3\n"),
    "interrupted": (Interrupted("stopped at step 3", 2), 130, "stopped at step 3\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted\n"),
    "full disk": (system_error(errno.ENOSPC), 2, "error: runs/SAC: no space left on device\n"),
    "read-only": (system_error(errno.EROFS), 2, "error: runs/SAC: read-only file system\n"),
    "forbidden": (system_error(errno.EACCES), 2, "error: runs/SAC: permission denied\n"),
}


@pytest.mark.parametrize("case", CODES)
def test_each_end_has_its_code_and_one_line(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, code, message = CODES[case]
    assert exit_code_of(raising(error)) == code
    captured = capsys.readouterr()
    assert captured.err == message and captured.out == ""


@pytest.mark.parametrize("error", [ValueError("a bug"), system_error(errno.EBADF), MemoryError()])
def test_our_own_faults_show_where_they_happened(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(raising(error)) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_what_a_command_returns_is_its_exit_code(returned: int | None, code: int) -> None:
    assert exit_code_of(lambda: returned) == code


def test_a_reader_that_leaves_early_is_no_fault() -> None:
    code = (
        "from makerlab.cli import run_command\n"
        "def main():\n"
        "    for number in range(100000): print(number)\n"
        "run_command(main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0


def parser() -> ArgumentParser:
    made = ArgumentParser(prog="x")
    made.add_argument("--n_trials", type=int)
    made.add_argument("--device", choices=("auto", "cpu", "cuda"))
    made.add_argument("--config", required=True)
    return made


ARGUMENTS = [
    (["--config", "c", "--n_trial", "3"], "unrecognized argument '--n_trial'.*mean '--n_trials'"),
    (["--config", "c", "--n_trial=3"], "unrecognized argument '--n_trial=3'.*mean '--n_trials'"),
    (["--config", "c", "--device", "tape"], "--device: found 'tape'; .*auto, cpu, cuda"),
    (["--config", "c", "--n_trials", "few"], "--n_trials: .*'few'"),
    (["--config", "c", "--n_trials"], "--n_trials: expected one argument"),
    ([], "required: --config"),
    (["--conf", "c"], "required: --config"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS)
def test_bad_flags_are_one_line_with_the_nearest(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parser().parse_args(arguments)


def test_good_flags_are_parsed() -> None:
    given = parser().parse_args(["--config", "c", "--n_trials", "-3", "--device", "cpu"])
    assert (given.config, given.n_trials, given.device) == ("c", -3, "cpu")


def test_the_nearest_choice_or_all_of_them() -> None:
    assert nearest("sharp", ["sortino", "sharpe"]) == "did you mean 'sharpe'?"
    assert nearest("x", ["b", "a"]) == "expected one of: a, b"


def test_a_missing_path_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "file" / "below").read_text()

    assert exit_code_of(main) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/file/below: not a directory\n"
