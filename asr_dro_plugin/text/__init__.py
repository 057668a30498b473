"""Text normalised, tagged with its language, spelled in tokens.

Imports: base.
"""
