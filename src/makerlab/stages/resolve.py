"""From what a user typed to the effective config of a stage."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from makerlab.config import SYNTHETIC, Config, load_config
from makerlab.config.environment import settings_in_environment
from makerlab.config.load import known_keys, parse_value
from makerlab.errors import UserError, nearest
from makerlab.runs.directory import tuning_directory
from makerlab.runs.keys import environment_key, tune_key

IGNORE_PARAMS = "none"

# What a run remembers of the tuning behind it.
_RECORDED = ("study", "storage", "trial", "score", "rescored", "n_trials", "params")

# What is worked with has a type; what a run merely remembers may be anything.
_NEEDED: dict[str, type] = {
    "params": dict,
    "environment_key": str,
    "n_trials": int,
    **dict.fromkeys(("study", "storage", "trial", "score", "rescored"), object),
}


@dataclass(frozen=True)
class Resolved:
    """An effective config, the tuned parameters in it, and the variables that set some of it."""

    config: Config
    config_path: Path
    tuned_params: dict[str, Any] | None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The config's name: its file's, without the ending."""
        return self.config_path.stem


def resolve_config(
    config_path: Path,
    *,
    profile: str | None = None,
    data: str | None = None,
    flags: Mapping[str, Any] | None = None,
    runs_dir: Path,
    params_path: str | None = IGNORE_PARAMS,
) -> Resolved:
    """Merge flags > environment > tuned parameters > profile > YAML > defaults.

    `params_path` names a best_params.json; None takes the config's own when it exists, `none`
    takes none. Raises UserError for bad settings and for parameters tuned in another environment.
    """
    given = dict(flags or {})
    if profile:
        given.setdefault("run.profile", profile)
    if data:
        given["env.csv_path"] = data
        if data != SYNTHETIC:
            # The config's dates were written for other data; saying fractions is no error then.
            given.setdefault("data_split.outside", "fractions")
    overlays = (profile_path(config_path, profile),) if profile else ()
    config = load_config(config_path, overlays=overlays, flags=given)
    variables = settings_in_environment(flags=given)
    found = _params_file(config, config_path.stem, runs_dir, params_path)
    if found is None:
        return Resolved(config, config_path, None, variables)
    tuned = read_best_params(found)
    if tuned["environment_key"] != environment_key(config):
        raise UserError(
            f"{found}: these parameters were tuned in another environment or on other data than "
            f"{config_path} describes now; tune again (tune_mm_sac.py --config {config_path}) or "
            f"pass --params_path {IGNORE_PARAMS}"
        )
    values = {f"train.{key}": value for key, value in tuned["params"].items()}
    try:
        config = load_config(config_path, overlays=overlays, tuned=values, flags=given)
    except UserError:
        config.with_values(values, source=str(found))  # names the file when it is at fault
        raise
    record = {"source": str(found), **{name: tuned[name] for name in _RECORDED}}
    return Resolved(config, config_path, record, variables)


def check_fold(config: Config, *, source: Path) -> None:
    """Raise UserError for a walk-forward of which no fold is chosen: a stage works on one."""
    folds = config.data_split.walk_forward.folds
    if folds and config.data_split.fold is None:
        raise UserError(
            f"{source}: data_split.walk_forward has {folds} folds and none is chosen; "
            f"give --fold K (--set data_split.fold=K), K from 0 to {folds - 1}"
        )


def profile_path(config_path: Path, profile: str) -> Path:
    """Return the overlay of a profile, a file beside the configs; UserError if there is none."""
    folder = config_path.parent / "profiles"
    path = folder / f"{profile}.yaml"
    if not path.is_file():
        names = [entry.stem for entry in folder.glob("*.yaml")]
        hint = nearest(profile, names) if names else f"{folder} holds no profiles"
        raise UserError(f"profile '{profile}': no file {path}; {hint}")
    return path


def read_best_params(path: Path) -> dict[str, Any]:
    """Read a best_params.json; raises UserError when it is missing, damaged or incomplete."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file of tuned parameters") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged, not JSON ({error})") from None
    for name, kind in _NEEDED.items():
        if not isinstance(content, dict) or name not in content:
            raise UserError(f"{path}: not written by the tune stage, it has no '{name}'")
        if not isinstance(content[name], kind):
            raise UserError(
                f"{path}: not as the tune stage writes it, '{name}' is {content[name]!r}"
            )
    return dict(content)


def is_tuned(config: Config, best_params: Path, *, storage: str | None = None) -> bool:
    """Return whether a file holds the result of this study with as many trials.

    With a `storage`, as it may be shown, the study must be kept there.
    """
    if not best_params.is_file():
        return False
    found = read_best_params(best_params)
    same = found.get("tune_key") == tune_key(config) and storage in {None, found.get("storage")}
    return same and bool(found["n_trials"] >= config.tune.n_trials)


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """Read `--set section.key=value` flags; raises UserError naming the nearest key."""
    result: dict[str, Any] = {}
    keys = known_keys()
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise UserError(f"--set {pair}: expected section.key=value")
        if key not in keys:
            raise UserError(f"--set {pair}: unknown key '{key}'; {nearest(key, keys)}")
        if key in result:
            raise UserError(f"--set {pair}: '{key}' is set twice; leave one out")
        result[key] = parse_value(text)
    return result


def _params_file(
    config: Config, config_name: str, runs_dir: Path, params_path: str | None
) -> Path | None:
    if params_path == IGNORE_PARAMS:
        return None
    if params_path is not None:
        return Path(params_path)
    algo, fold = config.train.algo, config.data_split.fold
    default = tuning_directory(runs_dir, algo, config_name, fold=fold).best_params
    return default if default.is_file() else None
