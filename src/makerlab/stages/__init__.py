"""The stages of the matrix: tune, train, evaluate, analyze."""
