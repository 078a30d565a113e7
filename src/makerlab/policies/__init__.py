"""Policies: anything with `act(observation) -> action`."""

from makerlab.policies.base import Policy
from makerlab.policies.baselines import baseline_policies

__all__ = ["Policy", "baseline_policies"]
