"""A training's checkpoints: whole or absent, summed, read as data.

Imports: base.
"""
