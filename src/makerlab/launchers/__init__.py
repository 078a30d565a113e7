"""Where commands run: this process, this machine, Slurm or Ray, behind one interface."""
