"""Policies: anything with `act(observation) -> action`."""

from makerlab.policies.base import Policy
from makerlab.policies.choice import baseline_policies

__all__ = ["Policy", "baseline_policies"]
