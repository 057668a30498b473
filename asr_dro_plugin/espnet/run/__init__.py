"""The training loop: steps, epochs, validation, and what is written on the way.

Imports: audio base checkpoints espnet.batches espnet.model espnet.process espnet.start experiment
    transcripts.
"""
