"""Run directories: who owns which file, what a run was made of, what is already done."""
