"""Configs, flags and environment variables."""

from tests.bad_input.case import Case, config_plus, config_with, writes
from tests.bad_input.lab import RUN

TRAIN = "--config tiny.yaml"


def _config(did: str, says: str, old: str, new: str, command: str = "train") -> Case:
    return Case(did, command, TRAIN, says, config_with(old, new))


def _with(did: str, says: str, lines: str) -> Case:
    return Case(did, "train", TRAIN, says, config_plus(lines))


CONFIGS = [
    Case(
        "misspells the config's file name",
        "train",
        "--config tinny.yaml",
        "did you mean 'tiny.yaml'?",
    ),
    Case(
        "gives a config in a folder that is not there",
        "tune",
        "--config conf/tiny.yaml",
        "not a directory",
    ),
    Case("gives a folder as config", "train", "--config runs", "found a directory"),
    Case(
        "gives a model file as config",
        "train",
        f"--config {RUN}/model.zip",
        "not UTF-8 text, expected a YAML file",
    ),
    Case("gives an empty config", "train", TRAIN, "empty", writes("tiny.yaml", "")),
    Case(
        "gives a config that is a list",
        "train",
        TRAIN,
        "expected a mapping of sections",
        writes("tiny.yaml", "- env\n- train\n"),
    ),
    _config("leaves a bracket open in a config", "line 3", "{days: 2}}", "{days: 2}"),
    _with("gives a section twice", "'run' is given twice", "run: {notes: again}\n"),
    _with(
        "lets a config ask for code to be run",
        "line 21",
        "data_split: !!python/object/apply:os.mkdir [made_by_yaml]\n",
    ),
    Case(
        "leaves the section env out",
        "train",
        TRAIN,
        "section 'env' is missing",
        writes("tiny.yaml", "train: {seed: 1}\n"),
    ),
    _config("misspells a section", "did you mean 'train'?", "train:", "trian:"),
    _config("misspells a section's long name", "did you mean 'env'?", "env:", "enviroment:"),
    _config("misspells a key", "did you mean 'fee_rate'?", "fee_rate", "fee_rat"),
    _config(
        "misspells a key of a key",
        "did you mean 'penetration_bps'?",
        "fee_rate: 0.0001",
        "fill: {penetration_bp: 1}",
    ),
    _config(
        "asks for fills by intensity without saying which",
        "rule calibrated_intensity needs bid_intensity, bid_decay, ask_intensity, ask_decay",
        "fee_rate: 0.0001",
        "fill: {rule: calibrated_intensity}",
    ),
    _config(
        "asks an intensity how far a bar trades beyond a quote",
        "penetration_bps 1 has no meaning",
        "fee_rate: 0.0001",
        "fill: {rule: calibrated_intensity, bid_intensity: 1, bid_decay: 1, ask_intensity: 1, "
        "ask_decay: 1, penetration_bps: 1}",
    ),
    _config(
        "misspells a fill rule",
        "did you mean 'trade_through'?",
        "fee_rate: 0.0001",
        "fill: {rule: trade_trough}",
    ),
    Case(
        "gives a number where a section belongs",
        "train",
        TRAIN,
        "expected a section",
        writes("tiny.yaml", "env: 3\n"),
    ),
    _config("writes a number in quotes", "without quotes", "0.0001", '"0.0001"'),
    _config(
        "writes yes for a number", "found True", "total_timesteps: 300", "total_timesteps: yes"
    ),
    _config(
        "writes a number for a switch",
        "expected true or false",
        "fee_rate: 0.0001",
        "random_start: 1",
    ),
    _config(
        "asks for half a step", "whole number", "total_timesteps: 300", "total_timesteps: 300.5"
    ),
    _config(
        "asks for no steps", "'train.total_timesteps'", "total_timesteps: 300", "total_timesteps: 0"
    ),
    _config("lets quotes vanish (alpha above 1)", "'env.alpha'", "fee_rate: 0.0001", "alpha: 1.5"),
    _config("gives NaN", "'env.fee_rate'", "fee_rate: 0.0001", "fee_rate: .nan"),
    _config(
        "gives a word that is not a choice",
        "did you mean 'sharpe'?",
        "n_trials: 3",
        "metric: sharp",
        "tune",
    ),
    _config("asks for an algorithm that is not there", "SAC", "net_arch: [8]", "algo: PPO", "tune"),
    _config(
        "leaves a value empty",
        "'train.total_timesteps'",
        "total_timesteps: 300",
        "total_timesteps:",
    ),
    _config(
        "gives the base spread in both units", "exactly one", "fee_rate: 0.0001", "base_spread: 2"
    ),
    _config(
        "orders more than the inventory may hold",
        "max_inventory",
        "fee_rate: 0.0001",
        "order_size: 9",
    ),
    _config("gives one layer as a number", "list", "net_arch: [8]\n", "net_arch: 64\n"),
    _config("names a run with a slash", "'run.short_name'", "tiny}", "a/b}"),
    _config(
        "turns a search range around",
        "above high",
        "batch_size: [16]}",
        "tau: {low: 0.5, high: 0.1}}",
        "tune",
    ),
    _with(
        "gives five of six dates",
        "six dates",
        "data_split: {train_start: 2024-01-01, train_end: 2024-01-02, valid_start: 2024-01-03, "
        "valid_end: 2024-01-04, test_start: 2024-01-05}\n",
    ),
    _with(
        "gives a date that no calendar has", "2024-02-31", "data_split: {train_start: 2024-02-31}\n"
    ),
    _with(
        "gives dates and fractions",
        "not both",
        "data_split: {train_start: 2024-02-01, train: 0.5}\n",
    ),
    _with(
        "shares out more than there is",
        "at most 1",
        "data_split: {train: 0.7, valid: 0.3, test: 0.2}\n",
    ),
    Case(
        "misspells a profile",
        "train",
        f"{TRAIN} --profile quik",
        "did you mean 'quick'?",
        writes("profiles/quick.yaml", "train: {total_timesteps: 50}\n"),
    ),
    Case(
        "asks for a profile where there are none",
        "tune",
        f"{TRAIN} --profile day",
        "holds no profiles",
    ),
    Case(
        "has an unknown key in a profile",
        "train",
        f"{TRAIN} --profile quick",
        "profiles/quick.yaml",
        writes("profiles/quick.yaml", "train: {steps: 50}\n"),
    ),
]

FLAGS = [
    Case("misspells a flag", "train", "--confg tiny.yaml", "did you mean '--config'?"),
    Case("shortens a flag", "train", "--conf tiny.yaml", "did you mean '--config'?"),
    Case("gives a flag no value", "train", "--config", "--config"),
    Case("gives a word too many", "tune", f"{TRAIN} again", "unrecognized argument 'again'"),
    Case("names neither config nor run", "train", "--seed 1", "give --config"),
    Case("leaves out a flag that is needed", "tune", "--n_trials 3", "--config"),
    Case(
        "gives a seed that is a word",
        "train",
        f"{TRAIN} --seed abc",
        "found 'abc', expected a whole number",
    ),
    Case("gives a seed below zero", "train", f"{TRAIN} --seed -1", "'train.seed'"),
    Case("asks for no trials", "tune", f"{TRAIN} --n_trials 0", "'tune.n_trials'"),
    Case("asks for no processes", "tune", f"{TRAIN} --jobs 0", "--jobs"),
    Case(
        "asks for no episodes",
        "evaluate",
        f"--model_path {RUN} --episodes 0",
        "'evaluate.episodes'",
    ),
    Case("asks for a device of another name", "train", f"{TRAIN} --device gpu", "found 'gpu'"),
    Case("asks for a device that is not there", "train", f"{TRAIN} --device mps", "has: cpu"),
    Case(
        "sets a key that does not exist",
        "train",
        f"{TRAIN} --set env.fee_rat=0",
        "did you mean 'env.fee_rate'?",
    ),
    Case("sets a key to nothing", "train", f"{TRAIN} --set env.fee_rate", "section.key=value"),
    Case("sets a section", "train", f"{TRAIN} --set env=3", "unknown key 'env'"),
    Case("sets a key to a word", "train", f"{TRAIN} --set env.fee_rate=free", "found 'free'"),
    Case(
        "sets a key and gives its flag",
        "train",
        f"{TRAIN} --set train.seed=1 --seed 2",
        "leave one out",
    ),
    Case(
        "gives new settings to a run that continues",
        "train",
        f"--resume {RUN} --seed 2",
        "--resume",
    ),
    Case(
        "misspells a setting in the environment",
        "train",
        TRAIN,
        "did you mean 'env.fee_rate'?",
        variables={"MAKERLAB__ENV__FEE_RAT": "0"},
    ),
    Case(
        "gives a word for a number in the environment",
        "train",
        TRAIN,
        "'train.seed'",
        variables={"MAKERLAB__TRAIN__SEED": "first"},
    ),
    Case(
        "gives a word for the number of threads",
        "train",
        TRAIN,
        "OMP_NUM_THREADS",
        variables={"OMP_NUM_THREADS": "all"},
    ),
]
