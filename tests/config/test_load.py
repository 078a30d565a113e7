"""From YAML, environment and flags to one effective config, or one clear line."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from makerlab.config import Config, load_config
from makerlab.config.load import describe, dotted_keys, parse_value, stored_config
from makerlab.errors import UserError

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "configs").glob("env_*.yaml"))
PROFILES = sorted((REPOSITORY / "configs" / "profiles").glob("*.yaml"))
ENV = "env: {base_spread_bps: 8}\n"


def load(
    folder: Path,
    text: str,
    *,
    overlay: str | None = None,
    environment: Mapping[str, str] | None = None,
    **others: Any,
) -> Config:
    path = folder / "config.yaml"
    path.write_text(text)
    overlays: tuple[Path, ...] = ()
    if overlay is not None:
        overlays = (folder / "overlay.yaml",)
        overlays[0].write_text(overlay)
    return load_config(path, overlays=overlays, environment=environment or {}, **others)


def refused(folder: Path, text: str, **others: Any) -> str:
    """Return the message of a refused config, one line that begins with its place."""
    with pytest.raises(UserError) as caught:
        load(folder, text, **others)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(folder), "")


# --- precedence --------------------------------------------------------------------------------

LAYERS = ("defaults", "yaml", "overlay", "tuned", "environment", "flags")


@pytest.mark.parametrize("strongest", range(1, len(LAYERS)))
def test_the_stronger_source_wins(tmp_path: Path, strongest: int) -> None:
    """Trap: a command-line flag that silently loses to the YAML.

    Flags > environment > tuned parameters > overlay > YAML > defaults, each with its own value.
    """
    present = LAYERS[: strongest + 1]
    config = load(
        tmp_path,
        ENV + ("train: {gamma: 0.91}\n" if "yaml" in present else ""),
        overlay="train: {gamma: 0.92}\n" if "overlay" in present else None,
        tuned={"train.gamma": 0.93} if "tuned" in present else None,
        environment={"MAKERLAB__TRAIN__GAMMA": "0.94"} if "environment" in present else None,
        flags={"train.gamma": 0.95} if "flags" in present else None,
    )
    assert config.train.gamma == pytest.approx(0.90 + strongest / 100)


def test_without_any_source_the_default_holds(tmp_path: Path) -> None:
    assert load(tmp_path, ENV).train.gamma == 0.99


def test_a_source_changes_only_what_it_names(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        ENV
        + "train: {gamma: 0.9, tau: 0.5}\ntune: {search_space: {gamma: {low: 0.9, high: 0.95}}}\n",
        overlay="train: {tau: 0.25}\ntune: {search_space: {tau: {low: 0.1, high: 0.2}}}\n",
        flags={"train.seed": 3},
    )
    assert (config.train.gamma, config.train.tau, config.train.seed) == (0.9, 0.25, 3)
    space = config.tune.search_space
    assert (space.gamma.high, space.tau.high) == (0.95, 0.2)


def test_null_is_a_value_like_any_other(tmp_path: Path) -> None:
    """Trap: a command-line flag that silently loses to the YAML."""
    text = ENV + "tune: {eval_episode_length: 100}\n"
    assert load(tmp_path, text).tune.eval_episode_length == 100
    for source in (
        {"flags": {"tune.eval_episode_length": None}},
        {"environment": {"MAKERLAB__TUNE__EVAL_EPISODE_LENGTH": "null"}},
    ):
        assert load(tmp_path, text, **source).tune.eval_episode_length is None


@pytest.mark.parametrize(
    ("weaker", "stronger", "expected"),
    [
        ("base_spread_bps: 8", {"env.base_spread": 2.5}, (2.5, None)),
        ("base_spread: 2.5", {"env.base_spread_bps": 8}, (None, 8.0)),
    ],
)
def test_a_spread_in_one_unit_replaces_a_weaker_one_in_the_other(
    tmp_path: Path, weaker: str, stronger: dict[str, float], expected: tuple[Any, Any]
) -> None:
    env = load(tmp_path, f"env: {{{weaker}}}\n", flags=stronger).env
    assert (env.base_spread, env.base_spread_bps) == expected


def test_environment_variables_are_typed_as_in_yaml(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        ENV,
        environment={
            "MAKERLAB__TRAIN__NET_ARCH": "[64, 32]",
            "MAKERLAB__TRAIN__LEARNING_RATE": "3e-4",
            "MAKERLAB__ENV__RANDOM_START": "false",
            "MAKERLAB__RUN__SHORT_NAME": "fresh",
            "MAKERLAB__DATA__SYNTHETIC__DAYS": "3",
            "MAKERLAB_PARENT_PID": "1",
            "PATH": "/bin",
        },
    )
    assert config.train.net_arch == (64, 32) and config.train.learning_rate == 3e-4
    assert config.env.random_start is False
    assert (config.run.short_name, config.data.synthetic.days) == ("fresh", 3)


# --- what is wrong, in one line ----------------------------------------------------------------

WRONG: dict[str, tuple[str, str]] = {
    "unknown section": (
        ENV + "trian: {}",
        "unknown key 'trian' in the config; did you mean 'train'?",
    ),
    "unknown key": (
        ENV + "train: {sed: 1}",
        "unknown key 'sed' in section 'train'; did you mean 'seed'?",
    ),
    "unknown deep key": (
        "env: {base_spread_bps: 8, fill: {participation: 0.1}}",
        "unknown key 'participation' in section 'env.fill'; did you mean 'volume_participation'?",
    ),
    "no env": ("train: {seed: 1}", "section 'env' is missing"),
    "no spread": ("env: {fee_rate: 0.1}", "'env"),
    "neither spread": ("env: {alpha: 0.1}", "give exactly one of base_spread and base_spread_bps"),
    "both spreads": (
        "env: {base_spread: 1, base_spread_bps: 8}",
        "'env': give exactly one of base_spread and base_spread_bps",
    ),
    "order above limit": (
        "env: {base_spread_bps: 8, order_size: 3}",
        "order_size 3.0 is above max_inventory 1.0",
    ),
    "text for a number": (
        "env: {base_spread_bps: 8, episode_length: '240'}",
        "'env.episode_length': found '240'; text, expected a number",
    ),
    "text in a list": (
        ENV + "train: {net_arch: [64, large]}",
        "'train.net_arch': found [64, 'large']; text, expected a number",
    ),
    "yes for a number": (ENV + "train: {seed: yes}", "'train.seed': found True; a boolean"),
    "yes in a list": (
        ENV + "train: {net_arch: [yes]}",
        "'train.net_arch': found [True]; a boolean",
    ),
    "a number for a switch": (
        "env: {base_spread_bps: 8, random_start: 1}",
        "'env.random_start': found 1; expected true or false",
    ),
    "a number for text": (ENV + "run: {short_name: 5}", "'run.short_name': found 5"),
    "a part of a step": (ENV + "train: {total_timesteps: 2.5}", "found 2.5"),
    "not a number": ("env: {base_spread_bps: .nan}", "'env.base_spread_bps': found nan"),
    "infinity": ("env: {base_spread_bps: .inf}", "'env.base_spread_bps': found inf"),
    "negative": ("env: {base_spread_bps: -8}", "'env.base_spread_bps': found -8"),
    "a fee of everything": ("env: {base_spread_bps: 8, fee_rate: 0.5}", "less than 0.05"),
    "other algorithm": (
        ENV + "train: {algo: PPO}",
        "'train.algo': found 'PPO'; expected one of: SAC",
    ),
    "misspelt metric": (
        ENV + "tune: {metric: sharp}",
        "'tune.metric': found 'sharp'; did you mean 'sharpe'?",
    ),
    "a name with a slash": (ENV + "run: {short_name: a/b}", "'run.short_name': found 'a/b'"),
    "a section without keys": (ENV + "train:\n", "'train': found None; expected a section"),
    "a number for a section": (ENV + "train: 5", "'train': found 5; expected a section"),
    "a range upside down": (
        ENV + "tune: {search_space: {gamma: {low: 0.9, high: 0.8}}}",
        "low 0.9 is above high 0.8",
    ),
    "half a range": (
        ENV + "tune: {search_space: {gamma: {low: 0.9}}}",
        "'tune.search_space.gamma.high': ",
    ),
    "a range no trial could train with": (
        ENV + "tune: {search_space: {gamma: {low: 0.9, high: 1.5}}}",
        "gamma.high is 1.5, expected at most 1",
    ),
    "no layers": (ENV + "train: {net_arch: []}", "'train.net_arch': found []"),
    "key twice": (
        ENV + "env: {base_spread_bps: 9}",
        "line 2: not valid YAML: key 'env' is given twice",
    ),
    "deep key twice": (
        "env:\n  base_spread_bps: 8\n  base_spread_bps: 9\n",
        "line 3: not valid YAML: key 'base_spread_bps' is given twice",
    ),
    "a tab": ("env:\n\tbase_spread_bps: 8", "line 2: not valid YAML"),
    "open bracket": ("env: {base_spread_bps: 8", "not valid YAML"),
    "a key of another kind": ("1: 2", "line 1: not valid YAML: key 1 is not text"),
    "a list": ("- env", "found a list, expected a mapping of sections"),
    "empty": ("# nothing\n", "the file is empty, expected sections such as env and train"),
    "code": ("env: !!python/object/apply:os.getcwd []", "not valid YAML"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, case: str) -> None:
    text, expected = WRONG[case]
    message = refused(tmp_path, text)
    assert message.startswith("/config.yaml:") and expected in message


DATES = {
    "train_start": "2024-01-01",
    "train_end": "2024-01-10",
    "valid_start": "2024-01-11",
    "valid_end": "2024-01-15",
    "test_start": "2024-01-16",
    "test_end": "2024-01-20",
}


def split(**changed: Any) -> str:
    values = {name: value for name, value in (DATES | changed).items() if value is not None}
    return ENV + yaml.safe_dump({"data_split": values})


WRONG_DATES: dict[str, tuple[dict[str, Any], str]] = {
    "five of six": ({"test_end": None}, "found 5 of the six dates, expected all or none"),
    "backwards": (
        {"train_end": "2023-12-31"},
        "a segment starts 2024-01-01 after it ends 2023-12-31",
    ),
    "overlapping": (
        {"valid_start": "2024-01-10"},
        "a segment starts 2024-01-10 before the one before it ends 2024-01-10",
    ),
    "with fractions": ({"train": 0.5}, "give dates or fractions, not both"),
    "no such month": (
        {"train_start": "2024-13-45"},
        "'data_split.train_start': found '2024-13-45'",
    ),
    "no such day": ({"train_start": "2024-02-30"}, "'data_split.train_start': found '2024-02-30'"),
    "with a time": ({"train_start": "2024-01-01T10:00:00"}, "expected a date such as 2024-12-31"),
    "a number": ({"train_start": 20240101}, "found 20240101; expected a date such as 2024-12-31"),
    "another form": ({"train_start": "01.02.2024"}, "expected a date such as 2024-12-31"),
}


@pytest.mark.parametrize("case", WRONG_DATES)
def test_dates_that_make_no_split_are_named(tmp_path: Path, case: str) -> None:
    changed, expected = WRONG_DATES[case]
    assert expected in refused(tmp_path, split(**changed))


def test_six_dates_written_bare_or_quoted_make_a_split(tmp_path: Path) -> None:
    bare = ENV + "data_split:\n" + "".join(f"  {key}: {day}\n" for key, day in DATES.items())
    for text in (bare, split()):
        found = load(tmp_path, text).data_split
        assert found.by_date and found.test_end == datetime.date(2024, 1, 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{train: 0.5, valid: 0.2}", "found 2 of the three fractions, expected all"),
        ("{train: 0.8, valid: 0.2, test: 0.2}", "the fractions add up to 1.2, expected at most 1"),
    ],
)
def test_fractions_that_make_no_split_are_named(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, f"{ENV}data_split: {text}")


def test_an_unknown_variable_names_itself_and_the_nearest_key(tmp_path: Path) -> None:
    message = refused(tmp_path, ENV, environment={"MAKERLAB__ENV__BASE_SPRED_BPS": "3"})
    assert message.startswith("environment variable MAKERLAB__ENV__BASE_SPRED_BPS: unknown key")
    assert "did you mean 'env.base_spread_bps'?" in message


def test_an_unknown_flag_names_the_nearest_key(tmp_path: Path) -> None:
    message = refused(tmp_path, ENV, flags={"train.gama": 0.9})
    assert message == "command line: unknown key 'train.gama'; did you mean 'train.gamma'?"


def test_an_overlay_is_held_to_the_same_keys(tmp_path: Path) -> None:
    message = refused(tmp_path, ENV, overlay="train: {stepz: 3}")
    assert message.startswith("/overlay.yaml: unknown key 'stepz' in section 'train'")


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "env_baseline.yaml").write_text(ENV)
    with pytest.raises(UserError, match=r"no such config file; did you mean 'env_baseline.yaml'"):
        load_config(tmp_path / "env_basline.yaml")
    with pytest.raises(UserError, match=r"no such config file \(.* is not a directory\)"):
        load_config(tmp_path / "nowhere" / "env_baseline.yaml")
    with pytest.raises(UserError, match="found a directory, expected a YAML file"):
        load_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8 text, expected a YAML file"):
        load_config(tmp_path / "binary.yaml")


# --- stored configs ----------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    notes=TEXT
    | st.from_regex(r"[0-9]+e[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}|yes|null|~", fullmatch=True),
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True),
    rate=st.floats(1e-12, 1.0),
    spread=st.floats(1e-9, 1e9),
    layers=st.lists(st.integers(1, 10**9), min_size=1, max_size=4),
    dated=st.booleans(),
)
@example(notes="\x85", name="0", rate=1.0, spread=1.0, layers=[1], dated=False)
def test_a_stored_config_is_read_back_equal(
    tmp_path: Path,
    notes: str,
    name: str,
    rate: float,
    spread: float,
    layers: list[int],
    dated: bool,
) -> None:
    """Whatever its notes look like to YAML: numbers, dates, switches or nothing."""
    content = {
        "env": {"base_spread": spread},
        "train": {"learning_rate": rate, "net_arch": layers},
        "run": {"notes": notes, "short_name": name},
        "data_split": DATES if dated else {},
    }
    config = Config.model_validate(content)
    path = tmp_path / "stored.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8", newline="")
    again = stored_config(path)
    assert again == config and again.hash == config.hash


@pytest.mark.parametrize("name", ["1e5", "3e-4", "007", "1_000", "yes", "null", "1.5", "0x1f"])
def test_names_that_look_like_something_else_survive(tmp_path: Path, name: str) -> None:
    config = Config.model_validate({"env": {"base_spread_bps": 8}, "run": {"short_name": name}})
    (tmp_path / "stored.yaml").write_text(config.to_yaml())
    assert stored_config(tmp_path / "stored.yaml").run.short_name == name


def config_of(**dotted: Any) -> Config:
    return Config.model_validate({"env": {"base_spread_bps": 8}}).with_values(dotted)


SOMETHING_ELSE: dict[str, Any] = {
    "env.fee_rate": 0.0123,
    "env.fill.volume_participation": 0.33,
    "train.seed": 17,
    "train.net_arch": [3],
    "tune.n_trials": 99,
    "evaluate.episodes": 3,
    "run.short_name": "other",
    "data.synthetic.seed": 99,
    "data_split.embargo_bars": 1,
}


@pytest.mark.parametrize("key", SOMETHING_ELSE)
def test_every_setting_changes_the_hash(key: str) -> None:
    assert config_of(**{key: SOMETHING_ELSE[key]}).hash != config_of().hash


def test_notes_alone_do_not_change_the_hash() -> None:
    assert config_of(**{"run.notes": "looked at twice"}).hash == config_of().hash


def test_the_hash_does_not_depend_on_how_a_value_was_said(tmp_path: Path) -> None:
    one = load(tmp_path, "env: {base_spread_bps: 8, fee_rate: 1.0e-4}\ntrain: {seed: 3}\n")
    other = load(
        tmp_path,
        "train:\n  seed: 4\nenv:\n  fee_rate: 0.0001\n  base_spread_bps: 8.0\n",
        flags={"train.seed": 3},
    )
    assert one.hash == other.hash


def test_a_config_can_not_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        config_of().train.seed = 3  # type: ignore[misc]


def test_replaced_values_are_checked_again() -> None:
    with pytest.raises(UserError, match=r"found 0\.5"):
        config_of(**{"env.fee_rate": 0.5})
    with pytest.raises(UserError, match=r"unknown key 'env.fee'"):
        config_of(**{"env.fee": 0.5})


# --- help --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", list(dotted_keys()))
def test_every_setting_has_a_sentence(key: str) -> None:
    sentence = describe(key)
    assert "None (default" not in sentence and sentence.count("(default: ") == 1
    assert sentence.split(" (default: ")[0].rstrip(".").strip()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("3e-4", 3e-4),
        ("1.5e3", 1500.0),
        ("true", True),
        ("[64, 64]", [64, 64]),
        ("null", None),
        ("plain words", "plain words"),
        ("[64", "[64"),
        ("2024-01-31", "2024-01-31"),
        ("2024-13-45", "2024-13-45"),
    ],
)
def test_flags_are_typed_as_in_yaml(text: str, value: Any) -> None:
    found = parse_value(text)
    assert found == value and type(found) is type(value)


# --- what is shipped ---------------------------------------------------------------------------


def test_the_four_configs_are_there() -> None:
    assert [path.stem for path in SHIPPED] == [
        "env_aggressive_spread",
        "env_baseline",
        "env_conservative_inventory",
        "env_turnover_penalty",
    ]
    targets = (REPOSITORY / "configs" / "tuning_targets.txt").read_text().splitlines()
    named = [line for line in targets if line and not line.startswith("#")]
    assert sorted(named) == [f"configs/{path.name}" for path in SHIPPED]


@pytest.mark.parametrize("profile", [None, *PROFILES], ids=lambda path: path and path.stem)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_load_under_every_profile(path: Path, profile: Path | None) -> None:
    overlays = (profile,) if profile else ()
    config = load_config(path, overlays=overlays, environment={})
    assert config.env.csv_path == "synthetic"
    assert config.train.algo == "SAC"


def test_shipped_configs_differ_in_name_and_environment() -> None:
    configs = [load_config(path, environment={}) for path in SHIPPED]
    assert len({config.run.short_name for config in configs}) == 4
    assert len({str(config.env) for config in configs}) == 4


def test_included_files_lie_under_the_config_and_later_ones_over_earlier(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("env: {alpha: 0.1, beta: 0.1, order_size: 0.2}\n")
    (tmp_path / "two.yaml").write_text("env: {beta: 0.2}\n")
    config = load(
        tmp_path,
        "include: [one.yaml, two.yaml]\nenv: {base_spread_bps: 8, order_size: 0.3}\n",
    )
    assert (config.env.alpha, config.env.beta, config.env.order_size) == (0.1, 0.2, 0.3)
    assert "include" not in config.to_dict()


@pytest.mark.parametrize(
    ("include", "included", "says"),
    [
        ("one.yaml", "env: {alpha: 0.1}", "include is 'one.yaml', expected a list of YAML files"),
        (
            "[on.yaml]",
            "env: {alpha: 0.1}",
            "on.yaml: no such config file; did you mean 'one.yaml'?",
        ),
        ("[one.yaml]", "env: {alfa: 0.1}", "one.yaml: unknown key 'alfa' in section 'env'"),
        ("[one.yaml]", "env: {alpha: 7}", "one.yaml: 'env.alpha': found 7"),
        ("[one.yaml]", "include: [two.yaml]", "one.yaml: unknown key 'include'"),
    ],
)
def test_what_is_wrong_with_an_included_file_names_it(
    tmp_path: Path, include: str, included: str, says: str
) -> None:
    (tmp_path / "one.yaml").write_text(included)
    with pytest.raises(UserError) as caught:
        load(tmp_path, f"include: {include}\nenv: {{base_spread_bps: 8}}\n")
    assert says in str(caught.value)
