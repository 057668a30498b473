"""From emissions to token ids and text.

``build_decoder`` makes the decoder that ``conf/decode_*.yaml`` names.  Mode espnet is not here: it
is ESPnet's own search over ESPnet's own model (``asr_dro_plugin.espnet``).
"""

import os
from collections.abc import Callable, Mapping, Sequence

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.beam_decoder import BeamDecoder
from asr_dro_plugin.decoding.greedy_decoder import GreedyDecoder
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError

SEARCH_KEYS = ("beam_size", "beam_size_token", "beam_threshold", "blank_threshold", "nbest")


def build_decoder(
    config: Mapping,
    tokens: Sequence[str],
    token_type: str,
    blank_id: int,
    lm_dir: str | os.PathLike | None = None,
    strict: bool = False,
) -> AbsDecoder:
    """The decoder of a configuration.

    Args:
        config: what ``read_decode_config`` takes or gave.
        tokens: the V symbols of the recogniser.
        token_type: char, bpe or word.
        blank_id: column of the blank.
        lm_dir: folder of language models, or one's file; for mode lm.
        strict: whether words of the language model that the tokens cannot write are an error.

    Raises:
        UserError: a language without tag, a language model that was asked for and is not there
            (or its packages are not), one of another alphabet or unit, a configuration that
            cannot be meant.
    """
    config = read_decode_config(config)
    if config["mode"] not in DECODERS:
        raise UserError(f"Mode {config['mode']} needs no decoder of ours: it is ESPnet's own.")
    if lm_dir is not None and config["mode"] != "lm":
        raise UserError(
            f"A language model ({lm_dir}) is given, but mode {config['mode']} uses none. "
            "Use a configuration of mode lm, or leave the language model out."
        )
    language = LanguageChoice(config["lang"], tuple(tokens), blank_id)
    return DECODERS[config["mode"]](config, language, token_type, lm_dir, strict)


def _greedy(config, language, token_type, lm_dir, strict) -> AbsDecoder:
    return GreedyDecoder(language)


def _beam(config, language, token_type, lm_dir, strict) -> BeamDecoder:
    return BeamDecoder(language, **{key: config[key] for key in SEARCH_KEYS})


def _with_lm(config, language, token_type, lm_dir, strict) -> AbsDecoder:
    if lm_dir is None:
        raise UserError(
            "Mode lm needs a language model. Give --lm_dir (stages 6-9 make one), or decode with "
            "conf/decode_asr_beam.yaml."
        )
    from asr_dro_plugin.decoding.lm_decoder import LmDecoder
    from asr_dro_plugin.decoding.lm_models import LanguageModels

    beam = _beam(config, language, token_type, None, strict)
    return LmDecoder(
        language, LanguageModels(lm_dir, config, beam, language.tokens, token_type, strict)
    )


DECODERS: dict[str, Callable[..., AbsDecoder]] = {"greedy": _greedy, "beam": _beam, "lm": _with_lm}
