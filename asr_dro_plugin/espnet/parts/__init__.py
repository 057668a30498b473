"""Our networks as ESPnet's Abs* classes: frontends, encoders, preprocessors.

Imports: compat espnet.start features nets pretrained stack text.
"""
