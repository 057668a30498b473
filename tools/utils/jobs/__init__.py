"""Behind utils/job.py: one part, the local and the Slurm backend, the progress bar."""
