"""Maker Lab: an experiment matrix for learned market makers whose numbers can be believed."""

__version__ = "0.1.0"
