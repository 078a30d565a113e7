"""The experiment matrix: configs x seeds x stages, scheduled over processes."""
