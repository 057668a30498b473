"""A sampler's plan to batches of tensors."""
