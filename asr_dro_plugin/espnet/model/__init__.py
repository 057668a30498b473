"""The model that ESPnet trains: losses, the objective's input, scores by group.

Imports: audio decoding emissions groups objectives scoring text.
"""
