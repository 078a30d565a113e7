"""Where tensors live."""

import os

import torch

from makerlab.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")


def available_devices() -> tuple[str, ...]:
    """Return the devices of this machine, the CPU first."""
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    return tuple(name for name, there in present.items() if there)


def check_device(wanted: str) -> str:
    """Return a device that was asked for; raises UserError when it is not there."""
    there = available_devices()
    if wanted not in there:
        raise UserError(
            f"--device {wanted}: not available on this machine, which has: {', '.join(there)}"
        )
    return wanted


def use_threads() -> int:
    """Let torch use as many threads as OMP_NUM_THREADS says, one by default; returns how many.

    Raises UserError when it says no number.
    """
    text = os.environ.get("OMP_NUM_THREADS", "1")
    # A list is one number per nested level; the first is ours.
    first = text.split(",")[0].strip()
    if not (first.isascii() and first.isdigit() and int(first) >= 1):
        raise UserError(
            f"environment variable OMP_NUM_THREADS: found '{text}', expected a whole number of at "
            "least 1"
        )
    threads = int(first)
    torch.set_num_threads(threads)
    return threads
