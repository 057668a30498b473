"""Optimizers and learning rates that torch does not have."""
