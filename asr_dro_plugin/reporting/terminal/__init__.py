"""A run on the terminal while it trains.

Imports: reporting.read.
"""
