"""Our classes under the names that a YAML uses: one function, in plain sight."""

from espnet2.tasks.asr import encoder_choices, model_choices

from asr_dro_plugin.espnet.encoders import ConvCTCEncoder, IdentityEncoder
from asr_dro_plugin.espnet.model import DROASRModel

ENCODERS = {"identity": IdentityEncoder, "conv_ctc": ConvCTCEncoder}
MODELS = {"dro": DROASRModel}


def register() -> None:
    """Add our classes to ESPnet's own tables; a second call changes nothing.

    The tables are ESPnet's ``ClassChoices.classes`` dictionaries, so that ESPnet's ``ASRTask``,
    ``Speech2Text`` and packing tools build our models as they build their own.
    """
    encoder_choices.classes.update(ENCODERS)
    model_choices.classes.update(MODELS)
