"""The only folder that imports ESPnet; importing it registers our classes with ESPnet.

Imports: base data espnet.batches espnet.model espnet.parts espnet.process espnet.run
    espnet.start objectives optim samplers stack text.
"""

from asr_dro_plugin.espnet.choices import register

register()
