"""Which variables of the environment a manifest records: those that took effect, no others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makerlab.config import load_config
from makerlab.config.environment import settings_in_environment
from makerlab.config.load import dotted_keys
from makerlab.errors import UserError

SPREAD, SPREAD_BPS = "MAKERLAB__ENV__BASE_SPREAD", "MAKERLAB__ENV__BASE_SPREAD_BPS"


def recorded(
    environment: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> dict[str, str]:
    return settings_in_environment(flags=flags or {}, environment=environment)


@given(key=st.sampled_from(sorted(dotted_keys())), text=st.text(max_size=20))
def test_a_variable_is_recorded_as_written_unless_a_flag_sets_its_key(key: str, text: str) -> None:
    name = "MAKERLAB__" + key.upper().replace(".", "__")
    assert recorded({name: text}) == {name: text}
    assert recorded({name: text}, {"run.notes": ""} if key != "run.notes" else {}) == {name: text}
    assert recorded({name: text}, {key: None}) == {}


@pytest.mark.parametrize(
    "name", ["MAKERLAB_STORAGE", "PGPASSWORD", "HOME", "makerlab__train__seed", "XMAKERLAB__TASK"]
)
def test_no_other_variable_is_recorded(name: str) -> None:
    assert recorded({name: "hunter2"}) == {}


def test_a_spread_in_the_unit_that_lost_took_no_effect(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("env: {base_spread_bps: 8}\n")
    both = {SPREAD: "2.0", SPREAD_BPS: "5.0"}
    assert recorded(both) == {SPREAD_BPS: "5.0"}
    assert load_config(path, environment=both).env.base_spread is None
    assert recorded({SPREAD: "2.0"}, {"env.base_spread_bps": 4.0}) == {}


def test_of_two_spellings_of_one_key_the_one_that_won_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("env: {base_spread_bps: 8}\n")
    both = {"MAKERLAB__TRAIN__SEED": "3", "MAKERLAB__train__seed": "4"}
    (name,) = recorded(both)
    assert load_config(path, environment=both).train.seed == int(both[name])


def test_a_variable_that_names_no_setting_is_refused() -> None:
    with pytest.raises(UserError, match=r"MAKERLAB__TRAIN__SEAD: unknown key .train\.sead."):
        recorded({"MAKERLAB__TRAIN__SEAD": "3"})
