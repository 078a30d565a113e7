"""The market: what happens to a quote, what is seen before it, what it earns."""
