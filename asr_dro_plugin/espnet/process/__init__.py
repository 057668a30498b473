"""One training process: signals, ranks, random states, what a checkpoint holds.

Imports: nothing.
"""
