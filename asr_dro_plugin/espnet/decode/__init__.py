"""A trained experiment at work: speech in, emissions and transcripts out.

Imports: audio base decoding emissions espnet.model espnet.start experiment stack text transcribing
transcripts.
"""
