"""Learning: an agent, its training step by step, and the files from which it continues."""
