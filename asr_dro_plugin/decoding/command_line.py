"""What a command line asks of a trained experiment, all of it judged before a model is loaded."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_dro_plugin.base.arguments import Group, Parser
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.build import decoder_for, has_ctc
from asr_dro_plugin.decoding.chunks import refuse_uncounted
from asr_dro_plugin.decoding.language import FORCED, FREE
from asr_dro_plugin.decoding.options import OURS, mode_of, read_decode_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import DECODE, LM
from asr_dro_plugin.experiment.model_files import (
    best_model_file,
    find_model_file,
    read_experiment_config,
)
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.transcripts.files import NEED_TIMES


def add_model_options(parser: Parser | Group, required: bool = True) -> None:
    """Which model, and where it computes."""
    add = parser.add_argument
    add("--exp", required=required, help="trained experiment, unpacked or exported model")
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    add("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")


def add_decode_options(parser: Parser | Group) -> None:
    """Options that say how is decoded; they go before the configuration's keys."""
    add = parser.add_argument
    add("--lang", help="free, forced (utt2lang), one ISO code, or some: 'eng fra' (default: free)")
    add("--lm_dir", help="folder of language models (asr-dro lm build), for mode lm")
    add("--nbest", type=int, help="hypotheses an utterance, for the modes beam, lm and espnet")
    add("--chunk_length", type=float, help="seconds of a piece of long audio")
    add("--stride", type=float, help="seconds of overlap on either side (default: a sixth)")


@dataclass(frozen=True)
class Model:
    """A trained model that is there; nothing of it is loaded.

    ``file`` is the name of the model file, ``experiment`` the experiment's ``config.yaml``.
    """

    exp: str
    file: str
    device: str
    experiment: Mapping[str, Any]


def model_of(args: argparse.Namespace, tokenizer: bool = False) -> Model:
    """The model of a command line with ``add_model_options``; ``tokenizer``: with its tokenizer's.

    Raises:
        UserError: no such GPU, no experiment, no such model file, a file that the experiment's
            configuration names is missing.
    """
    if str(args.exp).endswith(".zip"):
        raise UserError(f"{args.exp} is packed. Unpack it first: asr-dro unpack {args.exp}")
    device = device_of(args.ngpu)
    experiment = read_experiment_config(args.exp, tokenizer)
    file = args.model_file or best_model_file(args.exp)
    find_model_file(args.exp, file)
    return Model(str(args.exp), file, device, experiment)


@dataclass(frozen=True)
class Request:
    """How a model is to decode.

    ``config`` is the decoding configuration with what the command line changes in it; ``decoder``
    reads emissions, None for ESPnet's own search; with ``strict`` one utterance's fault ends all.
    """

    model: Model
    config: Mapping[str, Any]
    decoder: AbsDecoder | None
    lm_dir: str | None
    strict: bool

    def check_languages(self, langs: Mapping[str, str | None]) -> None:
        """Refuse languages to be forced, utt_id -> code, that are not given or not the model's."""
        if self.config.get("lang") != FORCED:
            return
        if unknown := [utt_id for utt_id, lang in langs.items() if not lang]:
            raise UserError(
                f"lang is forced, but {unknown[0]} has no language. "
                "Give --lang CODE, or a manifest with lang."
            )
        self.decoder.language.check_forced(langs.values())


def told_request(request: Request) -> Request | None:
    """The same decoding with every utterance's language given; None where the model names none.

    It names none without tags, where only one language may be found, and in ESPnet's own search.
    """
    decoder = request.decoder
    if decoder is None or not decoder.language.tags or request.config.get("lang") != FREE:
        return None
    config = {**request.config, "lang": FORCED, "times": False}
    return replace(request, config=config, decoder=decoder.of_one_language(FORCED))


def request_of(
    args: argparse.Namespace,
    formats: Sequence[str],
    option: str,
    timed: Collection[str] = NEED_TIMES,
) -> Request:
    """What a command line with both groups of options, ``config`` and ``strict`` asks for.

    Args:
        formats: what is written, given with ``option``, whose name messages say.
        timed: formats for which words need times.

    Raises:
        UserError: as ``model_of``, ``settings_of`` and ``decoder_for``; files that would be empty,
            for a model without CTC gives no times of words; chunks of frames that no rule counts.
    """
    model = model_of(args)
    _take_own_decoding(args)
    config = settings_of(args, formats, timed)
    needed = [name for name in formats if name in NEED_TIMES]
    if needed and not has_ctc(model.experiment):
        raise UserError(
            f"{option} {' '.join(needed)} needs times of words, which a model without CTC does not "
            "give. Take text, json or trn."
        )
    if config.get("chunk_length"):
        refuse_uncounted(frame_counter(model.experiment).exact)
    where = args.config or "the options"
    decoder = decoder_for(model.experiment, config, args.lm_dir, args.strict, where)
    return Request(model, config, decoder, args.lm_dir, args.strict)


def _take_own_decoding(args: argparse.Namespace) -> None:
    """Decode as the model itself says (``decode.yaml``, ``lm/`` in it), unless told otherwise."""
    own = Path(args.exp, DECODE)
    if not (args.config or args.lm_dir or args.nbest) and own.is_file():
        args.config = str(own)
        if mode_of(load_config(own)) == "lm" and Path(args.exp, LM).is_dir():
            args.lm_dir = str(Path(args.exp, LM))


def settings_of(
    args: argparse.Namespace,
    formats: Sequence[str],
    timed: Collection[str] = NEED_TIMES,
    own: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All settings of decoding: ``--config``, over it the options, and times where needed.

    Without ``--config`` the mode is greedy, or lm where ``--lm_dir`` is given, or beam where
    ``--nbest`` is; or all is as the model's ``own`` configuration says, where that can do what is
    asked for.  ``timed`` are the formats for which words need times.

    Raises:
        UserError: as ``read_decode_config``.
    """
    default = "lm" if args.lm_dir else "beam" if args.nbest else "greedy"
    given = load_config(args.config) if args.config else {"mode": default}
    suits = {"lm": ("lm",), "beam": ("beam", "lm"), "greedy": OURS}[default]
    if own is not None and not args.config and own["mode"] in suits:
        given = dict(own)
    for key in ("lang", "nbest", "chunk_length", "stride"):
        if getattr(args, key) is not None:
            given[key] = getattr(args, key)
    where = args.config or "the options"
    times = not set(timed).isdisjoint(formats)
    if mode_of(given) == "espnet":  # whose keys do not have ours
        asked = given.pop("times", None) is True
        return {**read_decode_config(given, where), "times": times or asked}
    return read_decode_config({**given, **({"times": True} if times else {})}, where)
