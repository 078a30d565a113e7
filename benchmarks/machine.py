"""What a measurement ran on, and what it used."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch


def machine() -> dict[str, Any]:
    """Return processor, cores, load, threads and versions."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("torch", "numpy", "numba")},
            "stable-baselines3": importlib.metadata.version("stable-baselines3"),
        },
    }


def processor_name() -> str:
    """Return the processor's name, with the instructions that matter to matrix products."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    flags = [flag for flag in wanted if flag in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.machine())} ({', '.join(flags)})"


def processor_seconds() -> float:
    """Return what this process, and children that have ended, have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
