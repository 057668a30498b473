"""Stages of the recipe that are no command for people.

Imports: base data espnet.extract espnet.start stack text.
"""
