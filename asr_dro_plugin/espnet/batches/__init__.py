"""A sampler's plan in, batches of tensors out.

Imports: audio base espnet.process samplers.
"""
