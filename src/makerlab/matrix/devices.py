"""Whether anything but the CPU may come into question, found out without importing torch."""

import ctypes
import functools
import sys

# What torch's CUDA and ROCm builds need of the system before they find a device.
_DRIVERS = ("libcuda.so.1", "libamdhip64.so", "nvcuda.dll")


@functools.cache
def computes_on_cpu(device: str) -> bool:
    """Return whether jobs with this `--device` are certain to compute on the CPU."""
    if device != "auto":
        return device == "cpu"
    return sys.platform != "darwin" and not any(map(_is_there, _DRIVERS))


def _is_there(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
