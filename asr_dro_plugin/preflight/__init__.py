"""Stage 10: what a stack makes of this data, from tables alone."""
