"""How often resting quotes are reached: A and k of the intensity A exp(-k d), from records."""
