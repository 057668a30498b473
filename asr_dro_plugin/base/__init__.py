"""Files whole or absent, Kaldi tables, YAML, progress, the command line; no torch, no numpy.

Imports: nothing.
"""
