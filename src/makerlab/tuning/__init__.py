"""Studies: who takes which trial, and what a trial may choose."""
