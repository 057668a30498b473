"""asr-dro: group-robust multilingual speech recognition on ESPnet2.

Importing this package imports nothing heavy.  Importing ``asr_dro_plugin.espnet`` registers our
classes with ESPnet, so that ESPnet's own tools (``Speech2Text``, ``pack`` …) find them.
"""

__version__ = "0.1.0"
