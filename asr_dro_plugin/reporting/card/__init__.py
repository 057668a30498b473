"""The model card of a packed model.

Imports: audio base data experiment objectives reporting reporting.read stack text.
"""
