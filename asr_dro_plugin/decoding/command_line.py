"""A decoding configuration with what the command line changes in it, for decode and transcribe."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.files import all_lms, check_unit
from asr_dro_plugin.transcripts.files import NEED_TIMES


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how is decoded; they go before the configuration's keys."""
    add = parser.add_argument
    add("--lang", help="free, forced (utt2lang), one ISO code, or some: 'eng fra' (default: free)")
    add("--lm_dir", help="folder of language models (asr-dro lm build), for mode lm")
    add("--nbest", type=int, help="hypotheses an utterance, for the modes beam, lm and espnet")
    add("--chunk_length", type=float, help="seconds of a piece of long audio")
    add("--stride", type=float, help="seconds of overlap on either side (default: a sixth)")


def settings_of(
    args: argparse.Namespace, formats: Sequence[str], timed: Collection[str] = NEED_TIMES
) -> dict[str, Any]:
    """All settings of decoding: ``--config``, over it the options, and times where needed.

    Without ``--config`` the mode is greedy, or lm where ``--lm_dir`` is given, or beam where
    ``--nbest`` is.

    Args:
        args: the command line, parsed with ``add_decode_options``.
        formats: what is written.
        timed: formats for which words need times.

    Raises:
        UserError: as ``read_decode_config``; a language model that is not asked for, or is not
            there.
    """
    given = load_config(args.config) if args.config else {"mode": _default_mode(args)}
    changes = {
        key: getattr(args, key)
        for key in ("lang", "nbest", "chunk_length", "stride")
        if getattr(args, key) is not None
    }
    where = args.config or "the options"
    given = {**given, **changes}
    times = not set(timed).isdisjoint(formats)
    if given.get("mode") == "espnet":
        return _espnets(given, times, args, where)
    config = read_decode_config({**given, **({"times": True} if times else {})}, where)
    check_lm_dir(config, args.lm_dir, where)
    return config


def _default_mode(args: argparse.Namespace) -> str:
    if args.lm_dir:
        return "lm"
    return "beam" if args.nbest else "greedy"


def _espnets(given: dict, times: bool, args: argparse.Namespace, where: str) -> dict[str, Any]:
    """ESPnet's own keys, and whether its text is aligned, which it does not know."""
    config = read_decode_config({k: v for k, v in given.items() if k != "times"}, where)
    check_lm_dir(config, args.lm_dir, where)
    return {**config, "times": times or given.get("times") is True}


def check_times(transcriber, formats: Sequence[str], option: str) -> None:
    """Refuse files that would be empty: a model without CTC gives no times of words.

    Args:
        transcriber: the loaded model's.
        formats: what is to be written.
        option: what they were given with, for the message.
    """
    needed = [name for name in formats if name in NEED_TIMES]
    if needed and not transcriber.gives_times:
        raise UserError(
            f"{option} {' '.join(needed)} needs times of words, which a model without CTC does not "
            "give. Take text, json or trn."
        )


def check_lm_dir(config: Mapping[str, Any], lm_dir: str | None, where: str) -> None:
    """A language model that is absent, ignored or of another unit is an error, in a moment."""
    mode = config["mode"]
    if mode == "lm" and lm_dir is None:
        raise UserError(
            f"{where}: mode lm needs a language model. Give --lm_dir (asr-dro lm build makes it)."
        )
    if mode != "lm" and lm_dir is not None:
        raise UserError(
            f"{where}: mode {mode} does not use --lm_dir {lm_dir}. "
            "Leave it out, or give a --config of mode lm (conf/decode_asr_lm*.yaml)."
        )
    if lm_dir is not None and not Path(lm_dir).exists():
        raise UserError(f"--lm_dir {lm_dir} does not exist. Run asr-dro lm build (stages 6-9).")
    if lm_dir is not None:
        for files in all_lms(lm_dir).values():
            check_unit(files, config["lm_unit"])
