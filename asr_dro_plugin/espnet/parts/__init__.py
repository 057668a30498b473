"""Adapters of our networks to ESPnet's Abs* classes."""
