"""The model card of a packed model.

Imports: audio data experiment objectives reporting reporting.read scoring stack text.
"""
