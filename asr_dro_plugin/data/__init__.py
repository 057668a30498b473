"""Kaldi data directories: stages 1 to 4."""
