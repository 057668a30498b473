"""asr-dro: group-robust multilingual speech recognition on ESPnet2.

Importing this package imports nothing heavy.  Importing ``asr_dro_plugin.espnet`` registers our
classes with ESPnet, so that ESPnet's own tools (``Speech2Text``, ``pack`` …) find them.
"""

import os

__version__ = "0.1.0"

# onnxruntime's wheels (seen in 1.31.1) keep a device id and a database of events in the user's
# cache, and look for their maker's host to send them to.  Read when onnxruntime is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
