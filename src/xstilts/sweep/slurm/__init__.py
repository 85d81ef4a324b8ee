"""A plan on a Slurm cluster: submitted once, and nothing of ours keeps running outside its jobs."""
