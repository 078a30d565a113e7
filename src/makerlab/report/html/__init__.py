"""The report that opens by double click: one page of all runs, one page per run."""
