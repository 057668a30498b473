"""Log-mel features in numpy and in torch, from one settings object.

Imports: base.
"""
