"""Judging policies: the same episodes and random numbers for all of them."""
