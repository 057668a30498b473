"""The model card of a packed model."""
