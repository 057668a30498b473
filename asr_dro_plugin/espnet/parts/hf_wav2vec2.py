"""``nets.hf_wav2vec2`` as ESPnet's ``AbsEncoder``: any wav2vec 2.0, HuBERT, WavLM or MMS.

From a Hugging Face folder, or from fairseq's own file without fairseq: the network is the same, the
reader differs.
"""

import logging
from pathlib import Path

import torch

from asr_dro_plugin.espnet.parts.encoders import NetEncoder
from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net
from asr_dro_plugin.pretrained.fairseq_files import read_fairseq

logger = logging.getLogger(__name__)


class HFWav2Vec2Encoder(NetEncoder, net=HFWav2Vec2Net):
    """``HFWav2Vec2Net`` for ESPnet; see there for the arguments.

    ``ssl_checkpoint`` gives ``model_config`` and, when training begins, the weights.
    """

    def load_pretrained(self, path: str | Path) -> None:
        """Take the weights of a Hugging Face folder."""
        self.net.load_pretrained(path)

    def encoded(
        self, inputs: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) samples, (B,) -> (B, S, H), (B,)."""
        return self.net(inputs, lengths)


class FairseqWav2Vec2Encoder(HFWav2Vec2Encoder):
    """A wav2vec 2.0 or HuBERT of fairseq's (``.pt``, pretrained or trained for ASR).

    An utterance is encoded the same alone and in a batch.  fairseq itself does so for networks with
    layer norms in the convolutions (XLS-R, MMS, large); those with a group norm (base) take its
    mean and variance over the batch's padding too.
    """

    def load_pretrained(self, path: str | Path) -> None:
        """Take the weights of a fairseq file, read as data; its account is logged."""
        found = read_fairseq(path)
        logger.info("%s: %s", path, found.account)
        if found.account.unexpected:
            names = ", ".join(found.account.unexpected)
            logger.warning("%s: unknown tensors, not used: %s", path, names)
        self.net.load_weights(found.weights, path)
