"""What an experiment's folder holds: config, model files, metrics, adapters, info.

Imports: base pretrained stack text.
"""
