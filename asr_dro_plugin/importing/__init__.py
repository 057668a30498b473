"""Models of other systems, read as data: weights, vocabulary and settings become an experiment.

Imports: audio base experiment features nets packing pretrained stack text.
"""
