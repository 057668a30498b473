"""Pretrained speech models: found, downloaded, verified, their weights read as data.

Imports: base text.
"""
