"""Smaller and faster forms of an exported model: made, measured on real speech, and one chosen.

Imports: audio base data decoding emissions reporting.card reporting.read
    runtime scoring.
"""
