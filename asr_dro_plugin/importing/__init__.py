"""Models of other systems, read as data: weights, vocabulary and settings become an experiment.

Imports: audio base decoding experiment features lm nets packing pretrained stack text.
"""
