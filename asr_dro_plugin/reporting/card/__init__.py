"""The model card of a packed model.

Imports: audio base data experiment reporting reporting.read stack text.
"""
