"""Our classes under the names that a YAML uses: one function, in plain sight."""

from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from espnet2.tasks.abs_task import optim_classes, scheduler_classes
from espnet2.tasks.asr import (
    decoder_choices,
    encoder_choices,
    frontend_choices,
    model_choices,
    normalize_choices,
    preprocessor_choices,
)
from espnet2.train.class_choices import ClassChoices

from asr_dro_plugin.espnet.model.model import DROASRModel
from asr_dro_plugin.espnet.parts.deepspeech2 import DeepSpeech2Encoder
from asr_dro_plugin.espnet.parts.default_frontend import PreparedDefaultFrontend
from asr_dro_plugin.espnet.parts.encoders import ConvCTCEncoder, IdentityEncoder
from asr_dro_plugin.espnet.parts.hf_wav2vec2 import FairseqWav2Vec2Encoder, HFWav2Vec2Encoder
from asr_dro_plugin.espnet.parts.hf_whisper import HFWhisperDecoder, HFWhisperEncoder
from asr_dro_plugin.espnet.parts.log_mel import LogMelFrontend
from asr_dro_plugin.espnet.parts.quartznet import QuartzNetEncoder
from asr_dro_plugin.espnet.parts.ssl import (
    PreparedS3prlFrontend,
    PreparedUtteranceMVN,
    PreparedWav2Vec2Encoder,
)
from asr_dro_plugin.espnet.parts.whisper_preprocessor import WhisperPreprocessor
from asr_dro_plugin.espnet.start.adapters import register_adapters
from asr_dro_plugin.objectives import OBJECTIVES, AbsObjective
from asr_dro_plugin.optim.novograd import NovoGrad
from asr_dro_plugin.optim.tri_stage import TriStage
from asr_dro_plugin.optim.warmup_cosine import WarmupCosine
from asr_dro_plugin.samplers import SAMPLERS, AbsBatchSampler

# s3prl and wav2vec2 are ESPnet's own classes with the cures that transformers 5 and fairseq need
# (see ``ssl.py``): without them training stops at random and a layer norm is missing; utterance_mvn
# is ESPnet's with a waveform's worth of memory; default is ESPnet's without a look at the batch.
FRONTENDS = {
    "default": PreparedDefaultFrontend,
    "s3prl": PreparedS3prlFrontend,
    "log_mel": LogMelFrontend,
}
ENCODERS = {
    "identity": IdentityEncoder,
    "conv_ctc": ConvCTCEncoder,
    "quartznet": QuartzNetEncoder,
    "hf_wav2vec2": HFWav2Vec2Encoder,
    "hf_whisper": HFWhisperEncoder,
    "fairseq_wav2vec2": FairseqWav2Vec2Encoder,
    "deepspeech2": DeepSpeech2Encoder,
    "wav2vec2": PreparedWav2Vec2Encoder,
}
DECODERS = {"hf_whisper": HFWhisperDecoder}
PREPROCESSORS = {"whisper": WhisperPreprocessor}
NORMALIZERS = {"utterance_mvn": PreparedUtteranceMVN}
MODELS = {"dro": DROASRModel}
OPTIMIZERS = {"novograd": NovoGrad}
SCHEDULERS = {"tri_stage": TriStage, "warmup_cosine": WarmupCosine}

# Two choices that ESPnet does not have; DROASRTask adds them to its class_choices_list.
objective_choices = ClassChoices(
    "objective", OBJECTIVES, type_check=AbsObjective, default="ctc_dro", optional=True
)
sampler_choices = ClassChoices(
    "sampler", SAMPLERS, type_check=AbsBatchSampler, default="group_duration", optional=True
)


def register() -> None:
    """Add our classes to ESPnet's own tables; a second call changes nothing.

    The tables are ESPnet's ``ClassChoices.classes`` dictionaries, so that ESPnet's ``ASRTask``,
    ``Speech2Text`` and packing tools build our models as they build their own.
    """
    frontend_choices.classes.update(FRONTENDS)
    encoder_choices.classes.update(ENCODERS)
    decoder_choices.classes.update(DECODERS)
    preprocessor_choices.classes.update(PREPROCESSORS)
    normalize_choices.classes.update(NORMALIZERS)
    model_choices.classes.update(MODELS)
    optim_classes.update(OPTIMIZERS)
    scheduler_classes.update(SCHEDULERS)
    register_adapters()
    for scheduler in SCHEDULERS.values():  # stepped once an update, as ESPnet marks torch's own
        AbsBatchStepScheduler.register(scheduler)
