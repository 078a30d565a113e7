"""Walk-forward plans, their folds, and data too short for them."""

from tests.bad_input.case import Case, all_of, config_plus, writes
from tests.bad_input.lab import RUN
from tests.commands import TINY_CONFIG

TRAIN = "--config tiny.yaml --params_path none"
SHARES = "train: 0.4, valid: 0.2, test: 0.1"


def _plan(text: str) -> str:
    return f"data_split: {{walk_forward: {{{text}}}}}\n"


def _walk(did: str, says: str, text: str, arguments: str = f"{TRAIN} --fold 0") -> Case:
    return Case(did, "train", arguments, says, config_plus(_plan(text)))


WALK_FORWARD = [
    _walk("asks for folds without lengths", "found folds without lengths", "folds: 3"),
    _walk(
        "gives lengths of two kinds",
        "expected all three of one kind",
        "folds: 3, train: 0.5, valid_days: 3, test: 0.1",
    ),
    _walk(
        "gives folds more than there is",
        "expected at most 1",
        "folds: 5, train: 0.5, valid: 0.2, test: 0.1",
    ),
    _walk("misspells a mode", "did you mean 'rolling'?", f"folds: 3, mode: roling, {SHARES}"),
    _walk(
        "misspells the purge", "did you mean 'purge_bars'?", f"folds: 3, purge_bar: 30, {SHARES}"
    ),
    Case(
        "gives folds and the shares of one split",
        "train",
        f"{TRAIN} --fold 0",
        "not both",
        config_plus(
            "data_split: {train: 0.7, valid: 0.15, test: 0.15, "
            f"walk_forward: {{folds: 3, {SHARES}}}}}\n"
        ),
    ),
    Case("chooses a fold where there are none", "train", f"{TRAIN} --fold 0", "there are none"),
    _walk(
        "chooses a fold that is not there",
        "fold is 3, expected 0 to 2",
        f"folds: 3, {SHARES}",
        f"{TRAIN} --fold 3",
    ),
    _walk("trains without choosing a fold", "K from 0 to 2", f"folds: 3, {SHARES}", TRAIN),
    Case(
        "tunes without choosing a fold",
        "tune",
        "--config tiny.yaml",
        "K from 0 to 2",
        config_plus(_plan(f"folds: 3, {SHARES}")),
    ),
    Case(
        "judges a run in the folds of another config",
        "evaluate",
        f"--model_path {RUN} --config walk.yaml",
        "K from 0 to 2",
        writes("walk.yaml", TINY_CONFIG + _plan(f"folds: 3, {SHARES}")),
    ),
    _walk(
        "has candles too few for the days of the folds",
        "needs 5760 bars",
        "folds: 3, train_days: 2, valid_days: 0.5, test_days: 0.5",
    ),
    _walk(
        "purges a segment away",
        "leaves 0 bars for the valid segment of fold 0",
        f"folds: 3, purge_bars: 600, {SHARES}",
    ),
    _walk(
        "has folds too short for an episode",
        "an episode of 30 bars needs",
        "folds: 3, train: 0.4, valid: 0.2, test: 0.02",
    ),
    Case(
        "gives another fold to a run that continues",
        "train",
        f"--resume {RUN} --fold 1",
        "--resume",
    ),
    Case(
        "walks forward where time has no order",
        "tune",
        "--config theory.yaml --fold 0",
        "no order in time",
        writes(
            "theory.yaml",
            "env: {market: cartea_jaimungal, order_size: 1, max_inventory: 3, episode_length: 50}\n"
            + _plan(f"folds: 3, {SHARES}"),
        ),
    ),
    Case(
        "lists a config with a bad plan",
        "matrix",
        "--targets targets.txt --profile=",
        "walk.yaml",
        all_of(
            writes("targets.txt", "tiny.yaml\nwalk.yaml\n"),
            writes("walk.yaml", TINY_CONFIG + _plan("folds: 3")),
        ),
    ),
]
