"""Stage 10: what a stack makes of this data, from tables alone.

Imports: audio base data groups samplers stack text.
"""
