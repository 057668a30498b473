"""Networks in plain torch, without ESPnet: training, export and serving share them.

Imports: features pretrained.
"""
