"""The report as one HTML file that needs nothing beside it.

Imports: audio data reporting reporting.read scoring text.
"""
