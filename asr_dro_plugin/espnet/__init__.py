"""The only folder that imports ESPnet.  Importing it registers our classes with ESPnet."""

from asr_dro_plugin.espnet.choices import register

register()
