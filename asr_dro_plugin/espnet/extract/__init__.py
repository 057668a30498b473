"""Hidden states of a frozen pretrained model, computed once for every utterance of a set.

Imports: audio base data espnet.start.
"""
