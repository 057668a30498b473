"""The one batch test: can this stack learn a few utterances by heart?

Imports: audio base decoding espnet espnet.batches espnet.model espnet.process espnet.run
    espnet.start reporting scoring stack text.
"""
