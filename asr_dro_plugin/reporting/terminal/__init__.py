"""A run on the terminal while it trains.

Imports: experiment reporting.read.
"""
