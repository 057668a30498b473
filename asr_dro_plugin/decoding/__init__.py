"""Emissions in, token ids, times and transcripts out; ``build`` makes the decoder of a YAML.

Imports: audio base emissions experiment lm stack text transcripts.
"""
