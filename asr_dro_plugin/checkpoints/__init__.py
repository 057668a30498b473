"""Checkpoints: whole or not at all."""
