"""Trials by disturbance: a matrix whose parts are killed at random, and what must come of it."""
