"""Statistics of results: intervals that say how far a number can be trusted."""
