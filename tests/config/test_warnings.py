"""A config that quotes inside its own fee is told so in plain words."""

from pathlib import Path

import pytest

from makerlab.config import Config, load_config, warnings_of

REPOSITORY = Path(__file__).parents[2]


def config_of(**env: float) -> Config:
    return Config.model_validate({"env": env})


def test_a_base_half_spread_below_the_fee_warns() -> None:
    (warning,) = warnings_of(config_of(base_spread_bps=3.0, fee_rate=0.0005))
    assert "3.00 bp" in warning and "5.00 bp" in warning and "loses money" in warning


def test_a_base_spread_in_price_units_is_compared_at_the_mid() -> None:
    """The original study: 2.2 USD at 27,000 USD under a fee of 6 basis points."""
    config = config_of(base_spread=2.2, fee_rate=0.0006, max_inventory=10.0)
    (warning,) = warnings_of(config, mid=27_000.0)
    assert "0.81 bp" in warning
    assert warnings_of(config, mid=1_000.0) == []
    assert warnings_of(config) == []


def test_a_spread_that_actions_can_narrow_below_the_fee_warns_less_sharply() -> None:
    (warning,) = warnings_of(config_of(base_spread_bps=8.0, alpha=0.5, fee_rate=0.0005))
    assert "narrowest" in warning and "4.00 bp" in warning


@pytest.mark.parametrize("fee", [0.0, -0.0001, 0.0004])
def test_quotes_outside_the_fee_do_not_warn(fee: float) -> None:
    assert warnings_of(config_of(base_spread_bps=8.0, alpha=0.5, fee_rate=fee)) == []


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "configs").glob("env_*.yaml")), ids=lambda path: path.stem
)
def test_no_shipped_config_warns(path: Path) -> None:
    assert warnings_of(load_config(path, environment={})) == []
