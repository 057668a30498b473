"""A run's figures for a reader: tables, one HTML page, a model card, a live view.

Imports: base reporting.read scoring.
"""
