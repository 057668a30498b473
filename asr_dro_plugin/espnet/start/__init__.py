"""Before the first step: settings judged, weights loaded, adapters put in, parameters frozen.

Imports: audio base checkpoints data espnet.model espnet.process experiment groups nets objectives
    pretrained stack text.
"""
