"""What options of the recipe exclude or lack, told before anything is read or made."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.recipe_names import Options, usual_token_type
from asr_dro_plugin.stack.auxiliary import aux_layers
from asr_dro_plugin.stack.extraction import extraction_problems
from asr_dro_plugin.text.auxiliary import KINDS

LEGAL = {
    "feats_type": "raw raw_copy extracted",
    "audio_format": "flac.ark",
    "token_type": "char bpe word hugging_face",
    "aux_text": " ".join(KINDS),
    "use_lm": "true false",
    "gpu_inference": "true false",
}
REMEDY = {"audio_format": " To leave the audio as it is, give --feats_type raw_copy."}
LM_CONFIG = "Give --inference_config conf/decode_asr_lm_word.yaml."


def check_options(options: Options, names: Options, config: Mapping) -> None:
    """Refuse what cannot be, the first of it.

    Args:
        options: all of asr.sh's, as they were given.
        names: what follows from them (``recipe_names.names_of``).
        config: the training configuration.

    Raises:
        UserError: fact and remedy.
    """
    for problem in _problems(options, names, config):
        raise UserError(problem)


def check_words(options: Options) -> None:
    """Refuse values that are none of the legal words; an empty one stands for the default."""
    for name, legal in LEGAL.items():
        if options[name] and options[name] not in legal.split():
            raise UserError(
                f"--{name} is {legal.replace(' ', ' or ')}, not '{options[name]}'."
                f"{REMEDY.get(name, '')}"
            )
    for name in ("inference_nj", "lm_order"):
        if options[name] and not re.fullmatch(r"[1-9][0-9]*", options[name]):
            raise UserError(f"--{name} takes an integer from 1, not '{options[name]}'.")
    if not re.fullmatch(r"[0-9 ]*", options["skip_stages"]):
        raise UserError(f"--skip_stages takes numbers and spaces, not '{options['skip_stages']}'.")


def _problems(options: Options, names: Options, config: Mapping) -> Iterator[str]:
    yield from _data_problems(options, names)
    if names["features_dir"]:
        of_config = f"--feats_type extracted with {options['asr_config']}: "
        yield from (f"{of_config}{problem}" for problem in extraction_problems(config))
    yield from _token_problems(options, names, config)
    if options["tune_lm"] == "true" and names["lm_wanted"] == "false":
        yield (
            f"--tune_lm true has nothing to tune: {options['inference_config']} has no mode lm. "
            + LM_CONFIG
        )
    init_exp, asr_exp = options["init_exp"], names["asr_exp"]
    if init_exp and not os.path.exists(f"{init_exp}/config.yaml"):
        yield f"--init_exp {init_exp} is no trained experiment: it has no config.yaml."
    if init_exp and os.path.realpath(init_exp) == os.path.realpath(asr_exp):
        yield (
            f"--init_exp and --asr_exp are both {asr_exp}. "
            "Give the continued model a directory of its own."
        )


def _data_problems(options: Options, names: Options) -> Iterator[str]:
    known = sorted(path.stem.removeprefix("data_") for path in Path("local").glob("data_*.py"))
    if options["corpus"] not in known:
        yield f"--corpus {options['corpus']} is unknown. Known: {' '.join(known)}."
    if options["feats_type"] == "raw_copy" and options["speed_perturb_factors"]:
        yield "--speed_perturb_factors changes the audio and needs --feats_type raw."
    does_stage_1 = int(options["stage"]) <= 1 <= int(options["stop_stage"])
    if not does_stage_1 or "1" in names["skip_stages"].split():
        return
    tag, source = names["data_tag"], options["data_source"]
    if names["org_train_set"] != f"train_{tag}":
        yield f"Stage 1 makes train_{tag}; for sets of your own begin with --stage 2."
    before = source_before(options["expdir"], tag)
    if source and before and os.path.exists(before) and not os.path.samefile(source, before):
        yield (
            f"data/train_{tag} was made from {before}, which other runs may use. Name the sets of "
            f"{source} otherwise: --data_tag {options['corpus']}_{Path(source).stem}."
        )


def source_before(expdir: str, tag: str) -> str | None:
    """The ``--source`` that stage 1 made the sets of a tag from; None where no mark says so."""
    try:
        mark = json.loads(Path(expdir, ".done", f"1_{tag}.json").read_text(encoding="utf-8"))
        words = mark["options"]["opts"].split()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    sources = [value for option, value in pairwise(words) if option == "--source"]
    return sources[0] if sources else None


def _auxiliary_problems(options: Options, config: Mapping) -> Iterator[str]:
    kind, layers = options["aux_text"], aux_layers(config)
    config_file = options["asr_config"]
    if kind and not layers:
        yield (
            f"--aux_text {kind} would be ignored: model_conf.aux_ctc of {config_file} names no "
            "text_aux. Give --asr_config conf/train_asr_ctc_dro_aux_mini.yaml."
        )
    if layers and not kind:
        yield (
            f"{config_file} learns text_aux after layer {', '.join(layers)}, and there is none. "
            f"Give {' or '.join(f'--aux_text {kind}' for kind in KINDS)}."
        )


def _token_problems(options: Options, names: Options, config: Mapping) -> Iterator[str]:
    if usual_token_type(config) == "hugging_face" != names["token_type"]:
        yield (
            f"--token_type {names['token_type']} does not go with {options['asr_config']}, whose "
            "decoder has tokens of its own. Leave it out."
        )
    yield from _auxiliary_problems(options, config)
    text = options["bpe_train_text"]
    if text and names["token_type"] != "bpe":
        yield f"--bpe_train_text {text} would be ignored: give --token_type bpe, or leave it out."
    if text and not os.path.isfile(text):
        yield f"--bpe_train_text {text} does not exist."
