"""A service of exported models over HTTP: one front process, workers beside it, no torch.

Imports: audio base runtime runtime.live text transcripts.
"""
