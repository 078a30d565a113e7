"""What a market with a known answer asks for, and how far a policy is from the best there is."""

from collections.abc import Callable

import numpy as np

from makerlab.config import EnvSettings
from makerlab.evaluation.metrics import Floats, Sums
from makerlab.statistics.bootstrap import UNDEFINED, Estimate, percentile_interval

NET_PROFIT = "net_profit"
OBJECTIVE = "objective"
DISTANCE = "distance_to_optimum_pct"

# Two names that only simulated markets have; in a table of all runs candles leave them empty.
OBJECTIVE_METRICS = {
    OBJECTIVE: "What the market's known optimum maximises, currency per episode: profit less "
    "inventory penalties, or the certainty equivalent of an exponential utility.",
    DISTANCE: "100 (optimum - policy) / (optimum - no quotes) of the objective, percent, on the "
    "same random numbers: 0 is the optimum, 100 no better than staying out.",
}


def objective_values(sums: Sums, weights: Floats, settings: EnvSettings) -> Floats:
    """Return the objective for weighted episodes: weights (rows, episodes) to (rows,).

    cartea_jaimungal: mean of profit less penalties, which is the reward without its scale.
    avellaneda_stoikov: -ln E[exp(-gamma profit)] / gamma, the mean profit for gamma = 0.
    """
    episodes = weights.sum(axis=1)
    if settings.market == "cartea_jaimungal":
        return np.asarray(weights @ sums["reward"] / episodes / settings.simulated.reward_scale)
    gamma, profit = settings.simulated.risk_aversion, sums["profit"]
    if gamma == 0.0:
        return np.asarray(weights @ profit / episodes)
    # Shifted, so that no exponential overflows.
    least = float(profit.min())
    utility = weights @ np.exp(-gamma * (profit - least)) / episodes
    return np.asarray(least - np.log(utility) / gamma)


def headline_metric(settings: EnvSettings) -> str:
    """Return the metric by which policies are ranked and judged: the objective where there is one.

    What a simulated market's theory maximises is not the profit: penalties or risk belong to it.
    """
    return OBJECTIVE if settings.simulates else NET_PROFIT


def episode_objectives(sums: Sums, settings: EnvSettings) -> Floats:
    """Return a number per episode, (episodes,), whose mean is the objective; currency.

    A certainty equivalent c is no mean, but that of c + (1 - exp(-gamma (profit - c))) / gamma is
    c exactly, and moves with the episodes as c does to first order.
    """
    if settings.market == "cartea_jaimungal":
        return np.asarray(sums["reward"] / settings.simulated.reward_scale, dtype=np.float64)
    gamma, profit = settings.simulated.risk_aversion, np.asarray(sums["profit"], dtype=np.float64)
    if gamma == 0.0:
        return profit
    equivalent = objective_value(sums, settings)
    return np.asarray(equivalent - np.expm1(-gamma * (profit - equivalent)) / gamma)


def objective_difference(
    sums: Sums, other: Sums, weights: Floats, settings: EnvSettings, *, confidence: float
) -> Estimate:
    """Return the objective minus the other policy's, paired: both on the same resamples."""

    def difference(weights: Floats) -> Floats:
        own = objective_values(sums, weights, settings)
        return np.asarray(own - objective_values(other, weights, settings))

    point = float(difference(np.ones((1, weights.shape[1])))[0])
    return percentile_interval(
        point, difference(weights), episodes=weights.shape[1], confidence=confidence
    )


def objective_value(sums: Sums, settings: EnvSettings) -> float:
    """Return the objective over all episodes, without an interval."""
    return float(objective_values(sums, np.ones((1, len(sums["bars"]))), settings)[0])


def objective_estimates(
    policies: dict[str, Sums],
    weights: Floats,
    settings: EnvSettings,
    *,
    optimum: str,
    nothing: str,
    confidence: float,
) -> dict[str, dict[str, Estimate]]:
    """Return objective and distance to the optimum per policy, with bootstrap intervals.

    `optimum` and `nothing` name the best policy and the one that stays out. All were played on the
    same episodes with the same random numbers, and share the resamples. Where the optimum is to
    stay out, or is not among the policies because nobody knows it, there is no distance.
    """

    def estimate(values: Callable[[Floats], Floats]) -> Estimate:
        point = float(values(np.ones((1, weights.shape[1])))[0])
        return percentile_interval(
            point, values(weights), episodes=weights.shape[1], confidence=confidence
        )

    def objective(name: str) -> Callable[[Floats], Floats]:
        return lambda rows: objective_values(policies[name], rows, settings)

    worth_trading = False
    if optimum in policies:
        best = estimate(lambda rows: objective(optimum)(rows) - objective(nothing)(rows))
        worth_trading = best.low is not None and best.low > 0.0

    def distance(name: str) -> Estimate:
        def values(rows: Floats) -> Floats:
            ideal = objective(optimum)(rows)
            return 100.0 * (ideal - objective(name)(rows)) / (ideal - objective(nothing)(rows))

        return estimate(values) if worth_trading else UNDEFINED

    return {
        name: {OBJECTIVE: estimate(objective(name)), DISTANCE: distance(name)} for name in policies
    }
