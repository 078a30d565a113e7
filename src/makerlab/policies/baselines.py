"""The makers every learned policy on candles is judged beside.

They act within the same bounds as the learner: quotes outside what alpha and beta allow are cut
to the nearest allowed ones, so that no baseline has freedoms the learner lacks (but not to quote).
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from makerlab import theory
from makerlab.market.base import Observations
from makerlab.market.episodes import CandleMarket
from makerlab.market.features import volatility_of
from makerlab.market.kernel import base_half_spread
from makerlab.policies.base import Actions, Policy, observed
from makerlab.policies.simple import NoQuote, RandomQuotes

Floats = npt.NDArray[np.float64]


class FillIntensity(NamedTuple):
    """Fills per bar of a quote at relative distance d: intensity * exp(-decay * d)."""

    intensity: float
    decay: float


class FixedSymmetric:
    """The base half-spread on both sides, always."""

    def act(self, observation: Observations) -> Actions:
        """Return zero actions."""
        return np.zeros((len(observation), 2))


class InventorySkew:
    """The base half-spread, shifted against the inventory: long sells, short buys."""

    def act(self, observation: Observations) -> Actions:
        """Return a skew of minus the share of the position limit held."""
        share = observed(observation, "inventory_share")
        return np.stack([np.zeros_like(share), -np.clip(share, -1.0, 1.0)], axis=1)


class ClosedFormMaker(ABC):
    """Shared part of makers that quote distances from theory, cut to the allowed actions."""

    def __init__(self, market: CandleMarket, intensity: FillIntensity) -> None:
        """Take scales from the training market: base spread, volatility, position limit."""
        settings = market.settings
        self.intensity = intensity
        self.alpha, self.beta = settings.alpha, settings.beta
        self.orders_at_cap = settings.max_inventory / settings.order_size
        self.episode_length = settings.episode_length
        self.base_half = base_half_fraction(market)
        variance = float(np.mean(np.square(np.diff(np.log(market.prices.close)))))
        # At the cap, with half an episode left, the reservation price is one base half-spread
        # away from the mid: a maker neither blind to its inventory nor frozen by it.
        self.risk_aversion = self.base_half / (
            max(variance, 1e-12) * 0.5 * self.episode_length * self.orders_at_cap
        )

    @abstractmethod
    def distances(self, inventory: Floats, time_left: Floats, volatility: Floats) -> list[Floats]:
        """Return [bid, ask] distances as fractions of the mid; inventory in orders."""

    def act(self, observation: Observations) -> Actions:
        """Return the allowed actions nearest to the theory's distances."""
        bid, ask = self.distances(
            observed(observation, "inventory_share") * self.orders_at_cap,
            observed(observation, "time_left") * self.episode_length,
            volatility_of(observed(observation, "log_volatility")),
        )
        half = np.maximum((bid + ask) / 2.0, 1e-9)
        skew = (ask - bid) / 2.0 / half
        spread_action = _ratio(half / self.base_half - 1.0, self.alpha)
        # Cut the width first, so that the wanted shift is kept in price rather than in shares.
        allowed_half = self.base_half * (1.0 + self.alpha * spread_action)
        skew_action = _ratio(skew * half / allowed_half, self.beta)
        return np.stack([spread_action, skew_action], axis=1)


class AvellanedaStoikov(ClosedFormMaker):
    """Avellaneda and Stoikov's quotes with the volatility of the last 60 bars."""

    def distances(self, inventory: Floats, time_left: Floats, volatility: Floats) -> list[Floats]:
        """Distances around the reservation price (see theory.avellaneda_stoikov_quotes)."""
        bid, ask = theory.avellaneda_stoikov_quotes(
            mid=0.0,
            inventory=inventory,
            time_left=time_left,
            volatility=volatility,
            risk_aversion=self.risk_aversion,
            decay=self.intensity.decay,
        )
        return [-np.asarray(bid), np.asarray(ask)]


class GueantLehalleFernandezTapia(ClosedFormMaker):
    """The asymptotic quotes of Guéant, Lehalle and Fernandez-Tapia, same volatility."""

    def distances(self, inventory: Floats, time_left: Floats, volatility: Floats) -> list[Floats]:
        """Distances that don't depend on the time left (see theory.glft_distances)."""
        bid, ask = theory.glft_distances(
            inventory=inventory,
            volatility=volatility,
            risk_aversion=self.risk_aversion,
            decay=self.intensity.decay,
            intensity=self.intensity.intensity,
            horizon=float(self.episode_length),
            inventory_cap=int(np.ceil(self.orders_at_cap)),
        )
        return [np.asarray(bid), np.asarray(ask)]


def base_half_fraction(market: CandleMarket) -> float:
    """Return the base half-spread as a fraction of the market's mean price."""
    mid = market.mean_price
    return float(base_half_spread(market.parameters, mid)) / mid


def fill_intensity(market: CandleMarket) -> FillIntensity:
    """Fit the fill intensity of a market's bars around the base half-spread.

    The share p of bars that trade through a quote at distance d gives -ln(1 - p) = A exp(-k d);
    a line through the logs at 0.5 to 2 base half-spreads gives A and k. On candles k measures
    volatility more than order flow; it serves as the scale of a baseline and nothing else.
    """
    prices = market.prices
    mid = prices.close[:-1]
    base = base_half_fraction(market)
    distances = base * np.linspace(0.5, 2.0, 7)
    shares = []
    for distance in distances:
        bought = prices.low[1:] < mid * (1.0 - distance)
        sold = prices.high[1:] > mid * (1.0 + distance)
        shares.append((bought.mean() + sold.mean()) / 2.0)
    rates = -np.log1p(-np.clip(shares, 1e-6, 1.0 - 1e-6))
    slope, level = np.polyfit(distances, np.log(rates), 1)
    # A market that never trades through gives no slope: one fill per e-fold of the base distance.
    decay = max(-float(slope), 1e-2 / base)
    return FillIntensity(intensity=float(np.exp(level)), decay=decay)


def candle_baselines(train: CandleMarket, *, seed: int) -> dict[str, Policy]:
    """Return all baselines by name, their scales fitted on the training segment only."""
    intensity = fill_intensity(train)
    actions = 3 if train.settings.allow_no_quote else 2
    return {
        "no_quote": NoQuote(),
        "random": RandomQuotes(seed=seed, actions=actions),
        "fixed_symmetric": FixedSymmetric(),
        "inventory_skew": InventorySkew(),
        "avellaneda_stoikov": AvellanedaStoikov(train, intensity),
        "gueant_lehalle_fernandez_tapia": GueantLehalleFernandezTapia(train, intensity),
    }


def _ratio(value: Floats, scale: float) -> Floats:
    """Return value / scale within [-1, 1]; zero where the scale allows no movement."""
    if scale == 0.0:
        return np.zeros_like(value)
    return np.clip(value / scale, -1.0, 1.0)
