"""DeepSpeech 2 as ESPnet's encoder: a thin adapter, the network lives in ``nets.deepspeech2``."""

from asr_dro_plugin.espnet.parts.net_encoder import NetEncoder
from asr_dro_plugin.nets.deepspeech2 import DeepSpeech2


class DeepSpeech2Encoder(NetEncoder, net=DeepSpeech2):
    """``nets.deepspeech2.DeepSpeech2`` for ESPnet; see there for the arguments.

    Its linear layer is ESPnet's CTC layer, which has a bias; so had ``hw2``, but not
    ``sooftware``.
    """
