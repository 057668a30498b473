"""Emissions in, token ids, times and transcripts out; ``build`` makes the decoder of a YAML.

Imports: audio base data emissions experiment lm scoring stack text
transcripts.
"""
