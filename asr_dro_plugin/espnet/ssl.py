"""ESPnet's two ways to a pretrained model, prepared by ``compat``: the same classes, put right.

Subclasses rather than patches; registered under ESPnet's own names, so that training, decoding and
``Speech2Text`` compute the same.
"""

import functools

from espnet2.asr.encoder.wav2vec2_encoder import FairSeqWav2Vec2Encoder
from espnet2.asr.frontend.s3prl import S3prlFrontend

from asr_dro_plugin.compat import fairseq, s3prl


class PreparedS3prlFrontend(S3prlFrontend):
    """``S3prlFrontend`` whose hidden states are the same in every layout and number."""

    @functools.wraps(S3prlFrontend.__init__)  # ESPnet reads the options from the signature
    def __init__(self, *args, **kwargs):
        s3prl.import_s3prl()
        super().__init__(*args, **kwargs)
        s3prl.prepare_frontend(self)


class PreparedWav2Vec2Encoder(FairSeqWav2Vec2Encoder):
    """``FairSeqWav2Vec2Encoder`` with a quiet fairseq, that reports the keys it drops."""

    @functools.wraps(FairSeqWav2Vec2Encoder.__init__)
    def __init__(self, *args, **kwargs):
        fairseq.prepare_encoder(kwargs)
        with fairseq.kept_root_logger():
            super().__init__(*args, **kwargs)
        fairseq.finish_encoder(self)
