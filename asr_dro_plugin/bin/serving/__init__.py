"""The service's command.

Imports: base runtime serving.
"""
