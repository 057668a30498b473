"""The names a YAML may use, as static tables, so that a plan needs no import of ESPnet.

``COMPONENTS`` maps the name in each slot to the path of its class, ESPnet's and ours.  A test holds
these tables against ESPnet's ``ClassChoices``, its parser and our registered classes.
"""

from asr_dro_plugin import objectives, samplers
from asr_dro_plugin.stack.components import OURS
from asr_dro_plugin.stack.espnet_options import INFERENCE_KEYS, TOP_LEVEL_KEYS

__all__ = ["COMPONENTS", "INFERENCE_KEYS", "OPTIMIZERS", "SCHEDULERS", "TOP_LEVEL_KEYS"]

_ENCODER = "espnet2.asr.encoder"
_DECODER = "espnet2.asr.decoder"
_FRONTEND = "espnet2.asr.frontend"
_POSTENCODER = "espnet2.asr.postencoder"

# In the order in which the signal passes them.
SLOTS = ("frontend", "specaug", "normalize", "preencoder", "encoder", "postencoder", "decoder")

COMPONENTS: dict[str, dict[str, str]] = {
    "frontend": {
        "default": f"{_FRONTEND}.default:DefaultFrontend",
        "sliding_window": f"{_FRONTEND}.windowing:SlidingWindow",
        "s3prl": f"{_FRONTEND}.s3prl:S3prlFrontend",
        "espnet_ssl": f"{_FRONTEND}.espnet_ssl:ESPnetSSLFrontend",
        "fused": f"{_FRONTEND}.fused:FusedFrontends",
        "whisper": f"{_FRONTEND}.whisper:WhisperFrontend",
        "huggingface": f"{_FRONTEND}.huggingface:HuggingFaceFrontend",
        "wav2vec_cnn": f"{_FRONTEND}.cnn:CNNFrontend",
    },
    "specaug": {"specaug": "espnet2.asr.specaug.specaug:SpecAug"},
    "normalize": {
        "global_mvn": "espnet2.layers.global_mvn:GlobalMVN",
        "utterance_mvn": "espnet2.layers.utterance_mvn:UtteranceMVN",
    },
    "preencoder": {
        "sinc": "espnet2.asr.preencoder.sinc:LightweightSincConvs",
        "linear": "espnet2.asr.preencoder.linear:LinearProjection",
    },
    "encoder": {
        "conformer": f"{_ENCODER}.conformer_encoder:ConformerEncoder",
        "transformer": f"{_ENCODER}.transformer_encoder:TransformerEncoder",
        "transformer_multispkr": f"{_ENCODER}.transformer_encoder_multispkr:TransformerEncoder",
        "contextual_block_transformer": f"{_ENCODER}.contextual_block_transformer_encoder:"
        "ContextualBlockTransformerEncoder",
        "contextual_block_conformer": f"{_ENCODER}.contextual_block_conformer_encoder:"
        "ContextualBlockConformerEncoder",
        "vgg_rnn": f"{_ENCODER}.vgg_rnn_encoder:VGGRNNEncoder",
        "rnn": f"{_ENCODER}.rnn_encoder:RNNEncoder",
        "wav2vec2": f"{_ENCODER}.wav2vec2_encoder:FairSeqWav2Vec2Encoder",
        "hubert": f"{_ENCODER}.hubert_encoder:FairseqHubertEncoder",
        "hubert_pretrain": f"{_ENCODER}.hubert_encoder:FairseqHubertPretrainEncoder",
        "torchaudiohubert": f"{_ENCODER}.hubert_encoder:TorchAudioHuBERTPretrainEncoder",
        "longformer": f"{_ENCODER}.longformer_encoder:LongformerEncoder",
        "branchformer": f"{_ENCODER}.branchformer_encoder:BranchformerEncoder",
        "whisper": f"{_ENCODER}.whisper_encoder:OpenAIWhisperEncoder",
        "e_branchformer": f"{_ENCODER}.e_branchformer_encoder:EBranchformerEncoder",
        "avhubert": f"{_ENCODER}.avhubert_encoder:FairseqAVHubertEncoder",
        "multiconv_conformer": f"{_ENCODER}.multiconvformer_encoder:MultiConvConformerEncoder",
        "beats": "espnet2.beats.encoder:BeatsEncoder",
    },
    "postencoder": {
        "hugging_face_transformers": f"{_POSTENCODER}.hugging_face_transformers_postencoder:"
        "HuggingFaceTransformersPostEncoder",
        "length_adaptor": f"{_POSTENCODER}.length_adaptor_postencoder:LengthAdaptorPostEncoder",
    },
    "decoder": {
        "transformer": f"{_DECODER}.transformer_decoder:TransformerDecoder",
        "lightweight_conv": f"{_DECODER}.transformer_decoder:"
        "LightweightConvolutionTransformerDecoder",
        "lightweight_conv2d": f"{_DECODER}.transformer_decoder:"
        "LightweightConvolution2DTransformerDecoder",
        "dynamic_conv": f"{_DECODER}.transformer_decoder:DynamicConvolutionTransformerDecoder",
        "dynamic_conv2d": f"{_DECODER}.transformer_decoder:DynamicConvolution2DTransformerDecoder",
        "rnn": f"{_DECODER}.rnn_decoder:RNNDecoder",
        "transducer": f"{_DECODER}.transducer_decoder:TransducerDecoder",
        "mlm": f"{_DECODER}.mlm_decoder:MLMDecoder",
        "whisper": f"{_DECODER}.whisper_decoder:OpenAIWhisperDecoder",
        "hugging_face_transformers": f"{_DECODER}.hugging_face_transformers_decoder:"
        "HuggingFaceTransformersDecoder",
        "s4": f"{_DECODER}.s4_decoder:S4Decoder",
        "linear_decoder": f"{_DECODER}.linear_decoder:LinearDecoder",
    },
    "model": {
        "espnet": "espnet2.asr.espnet_model:ESPnetASRModel",
        "maskctc": "espnet2.asr.maskctc_model:MaskCTCModel",
        "pit_espnet": "espnet2.asr.pit_espnet_model:ESPnetASRModel",
    },
    "objective": {name: objective.path for name, objective in objectives.OBJECTIVES.items()},
    "sampler": samplers.SAMPLERS,
    "preprocessor": {
        "default": "espnet2.train.preprocessor:CommonPreprocessor",
        "multi": "espnet2.train.preprocessor:CommonPreprocessor_multi",
    },
}

for _slot, _ours in OURS.items():
    COMPONENTS[_slot] |= {name: facts.path for name, facts in _ours.items()}

# What a slot holds when the YAML does not name it; None is no component.
DEFAULTS: dict[str, str | None] = {
    "frontend": "default",
    "specaug": None,
    "normalize": "utterance_mvn",
    "preencoder": None,
    "encoder": "rnn",
    "postencoder": None,
    "decoder": None,
    "model": "espnet",
    "objective": objectives.DEFAULT,
    "sampler": samplers.DEFAULT,
    "preprocessor": "default",
    "optim": "adadelta",
    "scheduler": None,
}

# Slots that may hold nothing.  ESPnet itself refuses ``frontend: none``; our task takes it.
OPTIONAL_SLOTS = frozenset(SLOTS) - {"encoder"} | {"scheduler", "objective", "sampler"}

OPTIMIZERS = {
    "adam": "torch.optim.adam:Adam",
    "adamw": "torch.optim.adamw:AdamW",
    "sgd": "espnet2.optimizers.sgd:SGD",
    "adadelta": "torch.optim.adadelta:Adadelta",
    "adagrad": "torch.optim.adagrad:Adagrad",
    "adamax": "torch.optim.adamax:Adamax",
    "asgd": "torch.optim.asgd:ASGD",
    "lbfgs": "torch.optim.lbfgs:LBFGS",
    "rmsprop": "torch.optim.rmsprop:RMSprop",
    "rprop": "torch.optim.rprop:Rprop",
    "radam": "torch.optim.radam:RAdam",
    "novograd": "asr_dro_plugin.optim.novograd:NovoGrad",
}

_SCHEDULERS = "espnet2.schedulers"
_TORCH_SCHEDULERS = "torch.optim.lr_scheduler"
SCHEDULERS = {
    "reducelronplateau": f"{_TORCH_SCHEDULERS}:ReduceLROnPlateau",
    "lambdalr": f"{_TORCH_SCHEDULERS}:LambdaLR",
    "steplr": f"{_TORCH_SCHEDULERS}:StepLR",
    "multisteplr": f"{_TORCH_SCHEDULERS}:MultiStepLR",
    "exponentiallr": f"{_TORCH_SCHEDULERS}:ExponentialLR",
    "cosineannealinglr": f"{_TORCH_SCHEDULERS}:CosineAnnealingLR",
    "noamlr": f"{_SCHEDULERS}.noam_lr:NoamLR",
    "warmuplr": f"{_SCHEDULERS}.warmup_lr:WarmupLR",
    "piecewiselinearwarmuplr": f"{_SCHEDULERS}.piecewise_linear_warmup_lr:PiecewiseLinearWarmupLR",
    "warmupsteplr": f"{_SCHEDULERS}.warmup_step_lr:WarmupStepLR",
    "warmupreducelronplateau": f"{_SCHEDULERS}.warmup_reducelronplateau:WarmupReduceLROnPlateau",
    "cycliclr": f"{_TORCH_SCHEDULERS}:CyclicLR",
    "onecyclelr": f"{_TORCH_SCHEDULERS}:OneCycleLR",
    "cosineannealingwarmrestarts": f"{_TORCH_SCHEDULERS}:CosineAnnealingWarmRestarts",
    "cosineannealingwarmuprestarts": f"{_SCHEDULERS}.cosine_anneal_warmup_restart:"
    "CosineAnnealingWarmupRestarts",
    "tristagelr": f"{_SCHEDULERS}.tristage_lr:TristageLR",
    "exponentialdecaywarmup": f"{_SCHEDULERS}.exponential_decay_warmup:ExponentialDecayWarmup",
    "tri_stage": "asr_dro_plugin.optim.tri_stage:TriStage",
    "warmup_cosine": "asr_dro_plugin.optim.warmup_cosine:WarmupCosine",
}

# Beside the slots: the output layer, what a transducer adds, and what DefaultFrontend hands its own
# frontend_conf to.
CTC_CLASS = "espnet2.asr.ctc:CTC"
JOINT_NETWORK_CLASS = "espnet2.asr_transducer.joint_network:JointNetwork"
ENHANCEMENT_CLASS = "espnet2.legacy.nets.pytorch_backend.frontends.frontend:Frontend"

NO_COMPONENT = ("none", "null", "nil")


def classes_of(slot: str) -> dict[str, str]:
    """Names and class paths of a slot, of ``optim`` and of ``scheduler``."""
    return {**COMPONENTS, "optim": OPTIMIZERS, "scheduler": SCHEDULERS}[slot]


def component_of(config: dict, slot: str) -> str | None:
    """Name in a slot of a configuration, lower-cased as ESPnet does; None where it is empty."""
    name = config.get(slot, DEFAULTS[slot])
    if name is None or str(name).lower() in NO_COMPONENT:
        return None
    return str(name).lower()
