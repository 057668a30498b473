"""Which components fit together: rules that no single component's arguments can tell."""

import importlib.util
import logging
from collections.abc import Iterator, Mapping

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError, how_to_install, suggestion
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.stack.chosen import argument, chosen, frontend_of, input_size_of
from asr_dro_plugin.stack.components import facts_of, names_with
from asr_dro_plugin.stack.espnet_options import TABLES
from asr_dro_plugin.stack.names import COMPONENTS, SLOTS, component_of
from asr_dro_plugin.stack.parameter_names import is_pattern
from asr_dro_plugin.stack.ssl_checkpoint import holder_of, takers

RAW_AUDIO = 1  # ESPnet's input_size for a waveform: one number a sample
S3PRL_KEYS = ("upstream", "path_or_url", "normalize", "extra_conf", "tile_factor")
SAMPLE_RATES = (SAMPLE_RATE, str(SAMPLE_RATE), "16k", "16K")

# First part of a parameter's name, for freeze_param.
MODULES = frozenset({*SLOTS, "ctc", "joint_network", "criterion_att"})


def check_combinations(config: Mapping, where: str) -> None:
    """Refuse slots that do not fit together.

    Raises:
        UserError: the first misfit, with the keys, their values and what would be legal.
    """
    rules = (_input, _features, _sinc, _loss, _ssl_checkpoint, _s3prl, _whisper, _freeze_param)
    for rule in rules:
        for problem in rule(config):
            raise UserError(f"{where}: {problem}")


def _input(config: Mapping) -> Iterator[str]:
    """Raw audio goes to encoders that take it, features to all others."""
    encoder, frontend = component_of(config, "encoder"), component_of(config, "frontend")
    input_size = input_size_of(config)
    raw = facts_of("encoder", encoder).raw_audio
    if input_size is not None and frontend and "frontend" in config:
        yield (
            f"input_size {input_size} says that the data are the encoder's input, so frontend "
            f"{frontend} would be ignored. Leave one of them out."
        )
    if raw and frontend_of(config):
        yield (
            f"encoder {encoder} takes the waveform itself, but frontend is {frontend}. "
            "Legal: frontend: none."
        )
    if raw and input_size not in (None, RAW_AUDIO):
        yield (
            f"input_size is {input_size}, but encoder {encoder} takes the waveform. "
            f"Legal: {RAW_AUDIO}. Leave it out: it is inferred."
        )
    if not (raw or frontend_of(config)) and input_size in (None, RAW_AUDIO):
        yield (
            f"frontend is none, but encoder {encoder} needs features. Set a frontend "
            f"({', '.join(COMPONENTS['frontend'])}) or an encoder that takes raw audio "
            f"({', '.join(sorted(names_with('raw_audio', 'encoder')))})."
        )


def _features(config: Mapping) -> Iterator[str]:
    """What works on features needs some, at the rate of the recipe's audio."""
    if component_of(config, "specaug") and chosen(config, "encoder").facts.raw_audio:
        yield (
            "specaug masks features, but frontend is none and the encoder takes the waveform. "
            "Set specaug: none."
        )
    conf = config.get("frontend_conf") or {}
    for key in ("fs", "sample_rate"):
        if (rate := conf.get(key)) is not None and rate not in SAMPLE_RATES:
            yield f"frontend_conf.{key} is {rate}, but the recipe's audio is 16 kHz. Legal: 16k."
    if frontend_of(config) == "log_mel":
        yield from _log_mel(config, conf)


def _log_mel(config: Mapping, conf: Mapping) -> Iterator[str]:
    """Legal values, and no second normalisation without a word."""
    try:
        settings = LogMelSettings.from_dict(conf)
    except UserError as error:
        yield f"frontend_conf: {error}"
        return
    if settings.normalize != "none" and component_of(config, "normalize"):
        yield (
            f"frontend log_mel normalises its features itself (frontend_conf.normalize: "
            f"{settings.normalize}), but normalize is {component_of(config, 'normalize')}. "
            "Set normalize: none, or frontend_conf.normalize: none."
        )


def _sinc(config: Mapping) -> Iterator[str]:
    """Windows of samples and the sinc convolutions over them belong together."""
    frontend, preencoder = frontend_of(config), component_of(config, "preencoder")
    if (frontend == "sliding_window") != (preencoder == "sinc"):
        yield (
            "frontend sliding_window and preencoder sinc need each other; here frontend is "
            f"{frontend or 'none'} and preencoder {preencoder or 'none'}."
        )


def loss_of(config: Mapping) -> str:
    """The training loss in words: ``ctc``, ``ce``, ``hybrid``, ``transducer``."""
    if component_of(config, "decoder") == "transducer":
        return "transducer"
    weight = float(argument(config, "model", "ctc_weight") or 0)
    return {1.0: "ctc", 0.0: "ce"}.get(weight, "hybrid")


def ctc_weight_of(config: Mapping) -> float:
    """``model_conf.ctc_weight``; ESPnet's default is 0.5."""
    weight = (config.get("model_conf") or {}).get("ctc_weight")
    return 0.5 if weight is None else float(weight)


def _loss(config: Mapping) -> Iterator[str]:
    """The loss says whether a decoder is needed."""
    weight, decoder = ctc_weight_of(config), component_of(config, "decoder")
    named = "is" if "ctc_weight" in (config.get("model_conf") or {}) else "is by default"
    if not 0 <= weight <= 1:
        yield f"model_conf.ctc_weight is {weight}. Legal: 0 (cross entropy) to 1 (CTC)."
    if decoder is None and weight < 1:
        yield (
            f"model_conf.ctc_weight {named} {weight:g}, so the loss is "
            f"{'cross entropy' if weight == 0 else 'CTC and attention'}, which needs a decoder, "
            f"but decoder is none. Legal: model_conf.ctc_weight: 1.0, or decoder: "
            f"{', '.join(COMPONENTS['decoder'])}."
        )
    if decoder == "linear_decoder" and weight != 0:
        yield f"decoder linear_decoder needs model_conf.ctc_weight 0, not {weight:g}."
    if decoder == "transducer" and not config.get("joint_net_conf"):
        yield "decoder transducer needs joint_net_conf, for example {joint_space_size: 256}."
    if decoder not in (None, "transducer", "linear_decoder") and weight == 1:
        logging.warning("decoder %s is ignored: model_conf.ctc_weight is 1.", decoder)


def _ssl_checkpoint(config: Mapping) -> Iterator[str]:
    """A pretrained model is named where one is used, and only there."""
    frontend, encoder = frontend_of(config), component_of(config, "encoder")
    given, (slot, holder) = config.get("ssl_checkpoint"), holder_of(config)
    if given and not holder.checkpoints:
        yield (
            f"ssl_checkpoint is {given}, but neither frontend ({frontend or 'none'}) nor encoder "
            f"({encoder}) takes one. Legal: {takers()}; else leave it out."
        )
    if given or not holder.checkpoints:
        return
    if frontend == "s3prl" and not _s3prl_conf(config).get("upstream"):
        yield (
            "frontend s3prl names no pretrained model. Set ssl_checkpoint (a name in "
            "local/ssl_checkpoints.tsv or a path), or frontend_conf.frontend_conf.upstream."
        )
    if encoder == "wav2vec2" and not (config.get("encoder_conf") or {}).get("w2v_url"):
        yield (
            "encoder wav2vec2 names no pretrained model. Set ssl_checkpoint (a name in "
            "local/ssl_checkpoints.tsv or a path), or encoder_conf.w2v_url."
        )
    if holder.own_weights and not (config.get(f"{slot}_conf") or {}).get("model_config"):
        yield (
            f"{slot} {component_of(config, slot)} names no pretrained model. Set ssl_checkpoint (a "
            "name in local/ssl_checkpoints.tsv, a path or org/name of the hub), or "
            f"{slot}_conf.model_config to begin with random weights."
        )


def _s3prl_conf(config: Mapping) -> Mapping:
    return (config.get("frontend_conf") or {}).get("frontend_conf") or {}


def _s3prl(config: Mapping) -> Iterator[str]:
    """The nested arguments of the s3prl frontend, which it reads key by key."""
    if frontend_of(config) != "s3prl":
        return
    if importlib.util.find_spec("s3prl") is None:
        yield f"frontend s3prl needs s3prl, which is not here: {how_to_install('ssl')}"
    key_path, conf = "frontend_conf.frontend_conf", _s3prl_conf(config)
    for key in conf:
        if key not in S3PRL_KEYS:
            yield (
                f"{key_path}: '{key}' is no argument.{suggestion(str(key), S3PRL_KEYS)} "
                f"Legal: {', '.join(S3PRL_KEYS)}."
            )
    upstream, known = conf.get("upstream"), TABLES["s3prl_upstreams"]
    if upstream and upstream not in known:
        yield f"{key_path}.upstream '{upstream}' is unknown to s3prl.{suggestion(upstream, known)}"
    if argument(config, "frontend", "layer") != -1 and argument(
        config, "frontend", "multilayer_feature"
    ):
        yield "frontend_conf has both layer and multilayer_feature: true. Leave one of them out."


def _whisper(config: Mapping) -> Iterator[str]:
    """A Whisper's decoder reads its own encoder and tokens; its encoder wants speech as it is."""
    encoder, decoder = component_of(config, "encoder"), component_of(config, "decoder")
    if encoder == "hf_whisper" and component_of(config, "normalize"):
        yield (
            f"encoder hf_whisper takes the waveform as it is, but normalize is "
            f"{component_of(config, 'normalize')}. Legal: normalize: none."
        )
    if decoder != "hf_whisper":
        return
    if encoder != "hf_whisper":
        yield f"decoder hf_whisper reads Whisper's encoder, not {encoder}. Set encoder: hf_whisper."
    if 0 < ctc_weight_of(config) < 1:
        yield (
            f"model_conf.ctc_weight is {ctc_weight_of(config):g}, but Whisper's tokens have no "
            "blank for CTC. Legal: model_conf.ctc_weight: 0.0."
        )
    if component_of(config, "preprocessor") != "whisper":
        yield "decoder hf_whisper has Whisper's own tokens. Set preprocessor: whisper."
    if config.get("token_type", "hugging_face") != "hugging_face":
        yield (
            f"decoder hf_whisper has Whisper's own tokens, but token_type is "
            f"{config['token_type']}. Give --token_type hugging_face."
        )


def _freeze_param(config: Mapping) -> Iterator[str]:
    """A misspelt entry would freeze nothing; what is behind the first word shows a built model."""
    entries = config.get("freeze_param") or []
    if not isinstance(entries, list | tuple):
        yield f"freeze_param is {entries}, which is no list. Legal: a list, for example [frontend]."
        return
    for entry in entries:
        head = str(entry).split(".")[0]
        if is_pattern(head):
            continue
        if head not in MODULES:
            yield (
                f"freeze_param '{entry}' matches no parameter.{suggestion(head, MODULES)} It must "
                f"begin with one of {', '.join(sorted(MODULES))}."
            )
        elif head in SLOTS and component_of(config, head) is None:
            yield f"freeze_param '{entry}': {head} is none, so there is nothing to freeze."
