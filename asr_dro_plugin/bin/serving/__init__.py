"""Commands of exported models at work: the service, and speech while it is said.

Imports: base runtime runtime.live serving.
"""
