"""What an experiment's folder holds."""
