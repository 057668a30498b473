"""A YAML's stack without building it: its names, rules, sizes, frames and parameters.

Imports: audio base features objectives optim pretrained samplers text.
"""
