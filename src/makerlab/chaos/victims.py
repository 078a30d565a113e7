"""The processes of a matrix, found by the folder they work in and what they run."""

from pathlib import Path

import psutil

_SCRIPTS = ("tune_mm_sac.py", "train_mm_sac.py", "evaluate_policy.py", "analyze_experiments.py")
_FORKS = "makerlab.launchers.fork_server"
_TASK = "submitit"


def workers(folder: Path, *, driver: int) -> list[psutil.Process]:
    """Return the stages under way, as forks or as processes of a script."""
    found = []
    for process, command in _processes(folder):
        fork = _FORKS in command and process.pid not in _pids(fork_servers(folder, driver=driver))
        script = any(word.endswith(_SCRIPTS) for word in command)
        if fork or script:
            found.append(process)
    return found


def fork_servers(folder: Path, *, driver: int) -> list[psutil.Process]:
    """Return the process from which the driver's jobs are forked."""
    return [
        process
        for process, command in _processes(folder)
        if _FORKS in command and _parent(process) == driver
    ]


def slurm_tasks(folder: Path) -> list[psutil.Process]:
    """Return what Slurm runs for a matrix: the processes that start stages and requeue them."""
    return [
        process for process, command in _processes(folder) if any(_TASK in word for word in command)
    ]


def ray_workers(raylets: list[int]) -> list[psutil.Process]:
    """Return the workers of raylets that run a task."""
    found = []
    for pid in raylets:
        try:
            children = psutil.Process(pid).children()
        except psutil.NoSuchProcess:
            continue
        found += [child for child in children if _name(child).startswith("ray::")]
    return found


def everything(folder: Path) -> list[psutil.Process]:
    """Return all processes that work in a folder."""
    return [process for process, _ in _processes(folder)]


def _processes(folder: Path) -> list[tuple[psutil.Process, list[str]]]:
    found = []
    here = str(folder.resolve())
    for process in psutil.process_iter():
        try:
            if process.cwd() == here and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process, process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def _pids(processes: list[psutil.Process]) -> set[int]:
    return {process.pid for process in processes}


def _parent(process: psutil.Process) -> int:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return 0


def _name(process: psutil.Process) -> str:
    try:
        return (process.cmdline() or [""])[0]
    except psutil.NoSuchProcess:
        return ""
