"""Where commands run: this process, this machine or Slurm, behind one interface."""
