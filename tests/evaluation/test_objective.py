"""The objective of simulated markets, and the distance to an optimum that is known or not."""

import numpy as np

from makerlab.config import EnvSettings
from makerlab.evaluation.objective import DISTANCE, OBJECTIVE, objective_estimates
from makerlab.statistics.bootstrap import UNDEFINED

SETTINGS = EnvSettings.model_validate(
    {"market": "cartea_jaimungal", "order_size": 1, "max_inventory": 5}
)


def estimates(**rewards: list[float]) -> dict[str, dict[str, float | None]]:
    sums = {name: {"reward": np.tile(values, 25)} for name, values in rewards.items()}
    found = objective_estimates(
        sums,
        np.ones((20, 50)),
        SETTINGS,
        optimum="optimal",
        nothing="no_quote",
        confidence=0.9,
    )
    return {name: {key: value.value for key, value in row.items()} for name, row in found.items()}


def test_the_distance_is_the_share_of_the_optimum_that_is_missed() -> None:
    found = estimates(learned=[5.0, 7.0], optimal=[7.0, 9.0], no_quote=[0.0, 0.0])
    assert found["learned"] == {OBJECTIVE: 6.0, DISTANCE: 25.0}
    assert found["optimal"][DISTANCE] == 0.0
    assert found["no_quote"][DISTANCE] == 100.0


def test_without_a_known_optimum_there_is_no_distance() -> None:
    found = estimates(learned=[5.0, 7.0], no_quote=[0.0, 0.0])
    assert found["learned"] == {OBJECTIVE: 6.0, DISTANCE: UNDEFINED.value}
