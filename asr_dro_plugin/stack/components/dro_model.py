"""Model ``dro``: ESPnet's, with an objective over groups."""

from asr_dro_plugin.stack.components.component import Component

DRO_MODEL = Component(path="asr_dro_plugin.espnet.model.model:DROASRModel", keywords_of="espnet")
