"""Recorded speech in Debian packages: fetched without root, paired with its texts, selected.

Imports: audio base text.
"""
