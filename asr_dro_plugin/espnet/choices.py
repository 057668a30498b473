"""Our classes under the names that a YAML uses: one function, in plain sight."""

from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from espnet2.tasks import asr
from espnet2.tasks.abs_task import optim_classes, scheduler_classes
from espnet2.train.class_choices import ClassChoices
from espnet2.train.dataset import DATA_TYPES

from asr_dro_plugin import objectives, samplers
from asr_dro_plugin.data.feature_store import ARK_TYPE, read_features
from asr_dro_plugin.espnet.parts.frontends import PreparedDefaultFrontend
from asr_dro_plugin.espnet.parts.recurrent import AnyOrderRNNEncoder, AnyOrderVGGRNNEncoder
from asr_dro_plugin.espnet.parts.ssl import (
    PreparedS3prlFrontend,
    PreparedUtteranceMVN,
    PreparedWav2Vec2Encoder,
)
from asr_dro_plugin.espnet.start.adapters import register_adapters
from asr_dro_plugin.objectives.abs_objective import AbsObjective
from asr_dro_plugin.optim import OPTIMIZERS, SCHEDULERS
from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.stack.components import OURS
from asr_dro_plugin.stack.construct import load_class

CHOICES = (
    asr.frontend_choices, asr.normalize_choices, asr.encoder_choices, asr.decoder_choices,
    asr.preprocessor_choices, asr.model_choices,
)  # fmt: skip

# ESPnet's own classes, put right: s3prl and wav2vec2 with the cures that transformers 5 and fairseq
# need (see ``ssl.py``; without them training stops at random and a layer norm is missing),
# utterance_mvn with a waveform's worth of memory, default without a look at the batch, recurrent
# encoders for batches in any order.
PREPARED = {
    "frontend": {"default": PreparedDefaultFrontend, "s3prl": PreparedS3prlFrontend},
    "encoder": {
        "wav2vec2": PreparedWav2Vec2Encoder,
        "rnn": AnyOrderRNNEncoder,
        "vgg_rnn": AnyOrderVGGRNNEncoder,
    },
    "normalize": {"utterance_mvn": PreparedUtteranceMVN},
}

# Two choices that ESPnet does not have; DROASRTask adds them to its class_choices_list.
objective_choices = ClassChoices(
    "objective", {name: load_class(each.path) for name, each in objectives.OBJECTIVES.items()},
    AbsObjective, default=objectives.DEFAULT, optional=True,
)  # fmt: skip
sampler_choices = ClassChoices(
    "sampler", {name: load_class(path) for name, path in samplers.SAMPLERS.items()},
    AbsBatchSampler, default=samplers.DEFAULT, optional=True,
)  # fmt: skip


def register() -> None:
    """Add our classes to ESPnet's own tables; a second call changes nothing.

    The tables are ESPnet's ``ClassChoices.classes`` dictionaries, so that ESPnet's ``ASRTask``,
    ``Speech2Text`` and packing tools build our models as they build their own.
    """
    for choices in CHOICES:
        ours = OURS.get(choices.name, {})
        choices.classes |= {name: load_class(facts.path) for name, facts in ours.items()}
        choices.classes |= PREPARED.get(choices.name, {})
    DATA_TYPES[ARK_TYPE] = {"func": read_features, "kwargs": [], "help": read_features.__doc__}
    schedulers = {name: load_class(path) for name, path in SCHEDULERS.items()}
    optim_classes.update({name: load_class(path) for name, path in OPTIMIZERS.items()})
    scheduler_classes.update(schedulers)
    register_adapters()
    for scheduler in schedulers.values():  # stepped once an update, as ESPnet marks torch's own
        AbsBatchStepScheduler.register(scheduler)
