"""Our classes under the names that a YAML uses: one function, in plain sight."""

from espnet2.tasks.asr import encoder_choices, frontend_choices, model_choices

from asr_dro_plugin.espnet.encoders import ConvCTCEncoder, IdentityEncoder
from asr_dro_plugin.espnet.model import DROASRModel
from asr_dro_plugin.espnet.ssl import PreparedS3prlFrontend, PreparedWav2Vec2Encoder

# s3prl and wav2vec2 are ESPnet's own classes with the cures that transformers 5 and fairseq need
# (see ``ssl.py``): without them training stops at random and a layer norm is missing.
FRONTENDS = {"s3prl": PreparedS3prlFrontend}
ENCODERS = {
    "identity": IdentityEncoder,
    "conv_ctc": ConvCTCEncoder,
    "wav2vec2": PreparedWav2Vec2Encoder,
}
MODELS = {"dro": DROASRModel}


def register() -> None:
    """Add our classes to ESPnet's own tables; a second call changes nothing.

    The tables are ESPnet's ``ClassChoices.classes`` dictionaries, so that ESPnet's ``ASRTask``,
    ``Speech2Text`` and packing tools build our models as they build their own.
    """
    frontend_choices.classes.update(FRONTENDS)
    encoder_choices.classes.update(ENCODERS)
    model_choices.classes.update(MODELS)
