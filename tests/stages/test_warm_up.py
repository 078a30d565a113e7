"""What a process has to have done so that the stages begin at once in it."""

import subprocess
import sys

from tests.commands import REPOSITORY, environment

# What a training, an evaluation and a study import when they begin, besides their own modules.
LATE = ("optuna.storages._rdb.storage", "torch.utils.tensorboard", "matplotlib")

CODE = """
import os, sys, threading
from makerlab.stages.warm_up import warm_up
before = set(os.listdir("."))
warm_up()
print(*[name for name in {late!r} if name not in sys.modules])
print(threading.active_count(), set(os.listdir(".")) == before)
import torch
print(torch.cuda.is_initialized())
"""


def test_a_warm_process_has_all_and_can_be_forked() -> None:
    """Only one Python thread, no CUDA, nothing left in the folder: forks are as good as new."""
    result = subprocess.run(
        [sys.executable, "-c", CODE.format(late=LATE)],
        cwd=REPOSITORY / "tests",
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert result.stdout.splitlines() == ["", "1 True", "False"]
