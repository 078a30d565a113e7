"""Launchers and their settings."""

from tests.bad_input.case import Case, all_of, writes


def _launcher(
    did: str, says: str, content: str, *, flags: str = "--launcher mine", adds: tuple[str, ...] = ()
) -> Case:
    return Case(
        did,
        "matrix",
        f"--targets targets.txt --profile= {flags}",
        says,
        all_of(
            writes("targets.txt", "tiny.yaml\n"), writes("configs/launchers/mine.yaml", content)
        ),
        adds=adds,
    )


LAUNCHERS = [
    _launcher(
        "misspells a launcher", "did you mean 'slurm'?", "kind: slurm\n", flags="--launcher slrum"
    ),
    _launcher(
        "names a file of launcher settings that is not there",
        "did you mean 'mine.yaml'?",
        "kind: slurm\n",
        flags="--launcher configs/launchers/mein.yaml",
    ),
    _launcher("leaves out what kind of launcher it is", "kind is missing", "partition: gpu\n"),
    _launcher("misspells the kind of a launcher", "did you mean 'slurm'?", "kind: slrm\n"),
    _launcher(
        "misspells a key of a launcher",
        "did you mean 'partition'?",
        "kind: slurm\npartitoin: gpu\n",
    ),
    _launcher(
        "gives a launcher's memory with a unit",
        "expected a number",
        "kind: slurm\nmemory_gb: 4G\n",
    ),
    _launcher(
        "warns a job before it begins",
        "expected less than the time limit",
        "kind: slurm\nminutes: 1\n",
    ),
    _launcher(
        "wants a debugger in another process",
        "expected --launcher debug",
        "kind: local\n",
        flags="--launcher mine --debugger",
    ),
]
