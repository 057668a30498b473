"""QuartzNet as ESPnet's encoder: a thin adapter, the network lives in ``nets.quartznet``."""

from asr_dro_plugin.espnet.parts.net_encoder import NetEncoder
from asr_dro_plugin.nets.quartznet import QuartzNet


class QuartzNetEncoder(NetEncoder, net=QuartzNet):
    """``nets.quartznet.QuartzNet`` for ESPnet; see there for the arguments."""
