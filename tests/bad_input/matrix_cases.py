"""Matrices, their targets and status; paths that are in the way."""

from tests.bad_input.case import Case, all_of, writes
from tests.bad_input.lab import BEST_PARAMS
from tests.bad_input.run_cases import cut
from tests.commands import TINY_CONFIG


def _targets(
    did: str, says: str, *lines: str, flags: str = "--profile=", adds: tuple[str, ...] = ()
) -> Case:
    return Case(
        did,
        "matrix",
        f"--targets targets.txt {flags}",
        says,
        writes("targets.txt", "".join(f"{line}\n" for line in lines)),
        adds=adds,
    )


MATRICES = [
    Case(
        "names a list of configs that is not there",
        "matrix",
        "--targets target.txt",
        "did you mean 'targets.txt'?",
        writes("targets.txt", "tiny.yaml\n"),
    ),
    Case(
        "gives a folder as list of configs",
        "matrix",
        "--targets runs",
        "expected a list of configs",
    ),
    _targets("lists no config", "lists no config", "# none yet"),
    _targets("lists a config that is not there", "line 2", "tiny.yaml", "tinny.yaml"),
    _targets("lists a folder", "line 1", "runs"),
    Case(
        "lists a config whose episodes fit into no segment",
        "matrix",
        "--targets targets.txt --profile=",
        "env.episode_length: found 100000",
        all_of(
            writes("targets.txt", "long.yaml\n"),
            writes("long.yaml", "env: {base_spread_bps: 8, episode_length: 100000}\n"),
        ),
    ),
    _targets("lists a config twice", "is listed in line 1 already", "tiny.yaml", "", "./tiny.yaml"),
    Case(
        "lists two configs of one name",
        "matrix",
        "--targets targets.txt --profile=",
        "share a folder",
        all_of(
            writes("targets.txt", "tiny.yaml\nb/tiny.yaml\n"), writes("b/tiny.yaml", TINY_CONFIG)
        ),
    ),
    Case(
        "lists two configs with the same settings",
        "matrix",
        "--targets targets.txt --profile=",
        "same settings",
        all_of(writes("targets.txt", "tiny.yaml\ncopy.yaml\n"), writes("copy.yaml", TINY_CONFIG)),
    ),
    Case(
        "lists two bad configs",
        "matrix",
        "--targets targets.txt --profile=",
        "b.yaml",
        all_of(
            writes("targets.txt", "a.yaml\nb.yaml\n"),
            writes("a.yaml", "env: {alpha: 2}\n"),
            writes("b.yaml", "run: {}\n"),
        ),
    ),
    _targets(
        "misspells the matrix's profile", "profile 'quik'", "tiny.yaml", flags="--profile quik"
    ),
    _targets("gives a seed twice", "1 is given twice", "tiny.yaml", flags="--profile= --seeds 1,1"),
    _targets(
        "gives a seed that is no number",
        "found 'two'",
        "tiny.yaml",
        flags="--profile= --seeds 1|two",
    ),
    _targets("gives no seeds", "found none", "tiny.yaml", flags="--profile= --seeds |"),
    _targets("asks for no jobs", "at least 1", "tiny.yaml", flags="--profile= --jobs 0"),
    _targets(
        "asks for groups of none",
        "'auto' or a whole number",
        "tiny.yaml",
        flags="--profile= --group_size 0",
    ),
    _targets(
        "misspells a stage", "did you mean 'train'?", "tiny.yaml", flags="--profile= --stages trian"
    ),
    _targets(
        "asks for candles that are not there",
        "scripts/fetch_candles.py",
        "tiny.yaml",
        flags="--profile= --data btc.csv",
    ),
    _targets(
        "asks for a device that is not there, for all",
        "has: cpu",
        "tiny.yaml",
        flags="--profile= --device mps --runs_dir new",
        adds=("new", "plots"),
    ),
    Case(
        "starts a matrix over damaged parameters",
        "matrix",
        "--targets targets.txt --profile= --seeds 0",
        "damaged, not JSON",
        all_of(writes("targets.txt", "tiny.yaml\n"), cut(BEST_PARAMS)),
        code=1,
        adds=(
            "runs/matrix.json",
            "plots",
            "runs/.analysis.json",
            "runs/runs_.*(csv|txt|xlsx)",
            "runs/.*report.html",
        ),
    ),
    Case("asks for the status of no matrix", "status", "", "configs/tuning_targets.txt"),
    Case(
        "asks for the status of a damaged record",
        "status",
        "--targets target.txt",
        "no such target list",
        writes("runs/matrix.json", '{"arguments": {}, "state": "running"}'),
    ),
]

PATHS = [
    Case(
        "has a file where runs/ should be",
        "train",
        "--config tiny.yaml --runs_dir candles.csv",
        "expected a directory",
    ),
    Case(
        "has a file where runs/ should be, when tuning",
        "tune",
        "--config tiny.yaml --runs_dir candles.csv",
        "expected a directory",
    ),
    Case(
        "has a file above runs/",
        "train",
        "--config tiny.yaml --runs_dir candles.csv/runs",
        "candles.csv",
    ),
    Case(
        "has a file where logs/ should be",
        "train",
        "--config tiny.yaml --logs_dir candles.csv",
        "expected a directory",
    ),
    Case(
        "has a file where the matrix's plots/ should be",
        "matrix",
        "--targets targets.txt --profile= --plots_dir candles.csv",
        "expected a directory",
        writes("targets.txt", "tiny.yaml\n"),
        adds=("logs",),
    ),
    Case(
        "has a folder where a log should be",
        "train",
        "--config tiny.yaml",
        "tiny_train.log",
        writes("logs/tiny_train.log/x", ""),
    ),
    Case(
        "puts runs where nothing can be written",
        "train",
        "--config tiny.yaml --runs_dir /proc/runs",
        "/proc/runs",
    ),
    Case(
        "puts logs where nothing can be written",
        "evaluate",
        "--model_path runs/SAC/20260101_000000_tiny_seed0 --logs_dir /proc/logs",
        "/proc/logs",
    ),
    Case(
        "gives a name that is too long",
        "train",
        f"--config tiny.yaml --runs_dir {300 * 'x'}",
        "too long",
    ),
]
