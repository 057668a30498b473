"""Pretrained speech models: found, fetched, verified and read as data."""
