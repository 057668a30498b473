"""A trained model as one zip file, and back, with nothing of the file run.

Imports: base experiment pretrained stack.
"""
