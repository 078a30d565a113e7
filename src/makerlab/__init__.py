"""Maker Lab: an experiment matrix for learned market makers whose numbers can be believed."""

from makerlab.registration import register_environments

__version__ = "0.1.0"

register_environments()
