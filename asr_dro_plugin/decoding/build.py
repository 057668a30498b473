"""The decoder that ``conf/decode_*.yaml`` names, for tokens or for a trained experiment.

Mode espnet is not here: it is ESPnet's own search over ESPnet's own model (``espnet.decode``).
Nothing here needs the model itself, so what is wrong is told before it is loaded.
"""

import os
from collections.abc import Mapping, Sequence

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.greedy import GreedyDecoder
from asr_dro_plugin.decoding.language import FREE, LanguageChoice
from asr_dro_plugin.decoding.options import check_lm_dir, refuse_limits_of_writing
from asr_dro_plugin.decoding.prefix_beam import BeamDecoder
from asr_dro_plugin.decoding.weights import LanguageWeights
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.espnet_search import search_fault
from asr_dro_plugin.text.tokens import BLANK, read_symbols

SEARCH_KEYS = ("beam_size", "beam_size_token", "beam_threshold", "blank_threshold", "nbest")


def build_decoder(
    config: Mapping,
    tokens: Sequence[str],
    token_type: str,
    blank_id: int,
    lm_dir: str | os.PathLike | None = None,
    strict: bool = False,
    where: str = "the decoding configuration",
) -> AbsDecoder:
    """The decoder of a configuration that ``read_decode_config`` gave.

    Args:
        tokens: the V symbols of the recogniser; ``token_type``: char, bpe or word.
        lm_dir: folder of language models, or one's file; for mode lm.
        strict: whether words of the language model that the tokens cannot write are an error.
        where: the configuration's name in messages.

    Raises:
        UserError: a language without tag, a language model that was asked for and is not there
            (or its packages are not), one of another alphabet or unit.
    """
    check_lm_dir(config, lm_dir, where)
    language = LanguageChoice(config["lang"], tuple(tokens), blank_id)
    weights = LanguageWeights.of(config)
    language.check_named(weights.own, f"{where}: by_language")
    if config["mode"] == "greedy":
        return GreedyDecoder(language, weights)
    beam = BeamDecoder(language, **{key: config[key] for key in SEARCH_KEYS}, weights=weights)
    if config["mode"] == "beam":
        return beam
    from asr_dro_plugin.decoding.lm_decoder import LanguageModels, LmDecoder

    models = LanguageModels(lm_dir, config, beam, language.tokens, token_type, strict)
    return LmDecoder(language, models)


def decoder_for(
    experiment: Mapping,
    config: Mapping,
    lm_dir: str | os.PathLike | None = None,
    strict: bool = False,
    where: str = "the decoding configuration",
) -> AbsDecoder | None:
    """The decoder of a configuration for a trained experiment; None for ESPnet's own.

    Of a model without CTC its attention decoder writes the text: what is given here for it only
    holds the languages that may be found.

    Args:
        experiment: its ``config.yaml``, which lists the tokens.
        config, lm_dir, strict, where: as ``build_decoder``'s.

    Raises:
        UserError: as ``build_decoder``; a mode that the model does not have.
    """
    tokens, mode = tokens_of(experiment), config["mode"]
    if mode == "espnet":
        check_lm_dir(config, lm_dir, where)
        _refuse_for_espnet(experiment, tokens, config)
        return None
    blank_id = tokens.index(BLANK) if BLANK in tokens else 0
    if has_ctc(experiment):
        refuse_limits_of_writing(config, where)
        kind = experiment.get("token_type", "char")
        return build_decoder(config, tokens, kind, blank_id, lm_dir, strict, where)
    if mode != "greedy":
        raise UserError(
            f"Mode {mode} searches the frames of CTC, and this model was trained "
            "without. Use conf/decode_asr_greedy.yaml."
        )
    check_lm_dir(config, lm_dir, where)
    weights = LanguageWeights.of(config)
    if weights.penalise or weights.own:
        raise UserError(
            f"{where}: blank_penalty and by_language change the frames of CTC, and this model was "
            "trained without. Delete them."
        )
    rule = config.get("lang", FREE)
    untagged = (experiment.get("preprocessor_conf") or {}).get("whisper_language")
    return GreedyDecoder(
        LanguageChoice(untagged if untagged and rule == FREE else rule, tuple(tokens), blank_id)
    )


def has_ctc(experiment: Mapping) -> bool:
    """Whether an experiment's model has CTC's layer: ESPnet builds none for weight 0."""
    return ctc_weight_of(experiment) > 0


def refuse_without_ctc(experiment: Mapping, exp: str | os.PathLike) -> None:
    """Refuse a model whose frames cannot be read."""
    if not has_ctc(experiment):
        raise UserError(
            f"{exp} was trained without CTC, whose frames are needed here. It can be decoded "
            "(asr-dro decode, transcribe) with a configuration of mode greedy or espnet."
        )


def tokens_of(experiment: Mapping) -> list[str]:
    """The V symbols of an experiment, which its ``config.yaml`` lists or names the file of."""
    tokens = experiment.get("token_list") or []
    return read_symbols(tokens) if isinstance(tokens, str) else list(tokens)


def _refuse_for_espnet(experiment: Mapping, tokens: Sequence[str], config: Mapping) -> None:
    if fault := search_fault(experiment, tokens):
        other = "beam" if has_ctc(experiment) else "greedy"
        raise UserError(
            f"{fault} Use conf/decode_asr_{other}.yaml, or another decoding configuration that is "
            "not of mode espnet."
        )
    if not has_ctc(experiment) and config.get("ctc_weight", 0) > 0:
        raise UserError(
            f"ctc_weight is {config['ctc_weight']:g}, and this model was trained without CTC. Set "
            "it to 0.0."
        )
