"""A trained experiment becomes a file for others: the packed model with its card, Hugging Face.

Imports: audio base data espnet.decode espnet.start experiment packing pretrained reporting.card
    reporting.read stack text.
"""
