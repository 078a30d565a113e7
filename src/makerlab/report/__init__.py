"""Reports over many runs: summary rows, honest rankings, tables per config, plots."""
