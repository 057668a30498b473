"""Before the first step: settings judged, weights loaded, adapters put in, parameters frozen.

Imports: base checkpoints espnet.process experiment groups nets objectives pretrained stack
text.
"""
