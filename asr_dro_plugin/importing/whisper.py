"""``--from hf`` of a WhisperForConditionalGeneration: encoder, decoder and its own tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.found import Found, Wish
from asr_dro_plugin.pretrained import hf_folders
from asr_dro_plugin.pretrained.hf_folders import architecture_of, read_json, weight_files
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.text import whisper_tokens
from asr_dro_plugin.text.whisper_tokens import TOKENIZER

GENERATION = "generation_config.json"
OUTPUT = "proj_out.weight"  # the embedding once more
SUPPRESSED = ("suppress_tokens", "begin_suppress_tokens")
ENGLISH_ONLY_ROWS = 51864  # of the published ones; those of many languages have more


def read(wish: Wish, folder: Path) -> Found:
    """The Whisper in a folder.

    Raises:
        UserError: a file is missing or damaged, a new vocabulary is asked for, or the model knows
            English alone, whose prompt has no language.
    """
    if wish.new_vocab:
        raise UserError(
            f"{folder} is a Whisper, which has tokens of its own: --new_vocab is for CTC. Leave it "
            "out; to teach it a language, fine-tune it (ssl_checkpoint)."
        )
    config = hf_folders.network_config(folder, folder.name)
    generation = read_json(folder, GENERATION) if hf_folders.find_json(folder, GENERATION) else {}
    rows = int(config["vocab_size"])
    if not generation.get("is_multilingual", rows != ENGLISH_ONLY_ROWS):
        raise UserError(
            f"{folder} knows English alone, and its prompt has no language. Give the Whisper of "
            "many languages, or fine-tune this one (ssl_checkpoint)."
        )
    tokenizer = whisper_tokens.read_tokenizer(folder)
    given = hf_folders.read_weights(folder)
    whisper_tokens.save_tokenizer(tokenizer, wish.work / TOKENIZER)
    not_used = {}
    if OUTPUT in given:
        not_used[OUTPUT] = ("the embedding once more", tuple(given.pop(OUTPUT).shape))
    # model.encoder.conv1.weight -> encoder.net.conv1.weight
    origin = {name.removeprefix("model.").replace(".", ".net.", 1): name for name in given}
    return Found(
        stack_of(config, generation), whisper_tokens.token_names(tokenizer, rows),
        {ours: given[theirs] for ours, theirs in origin.items()}, origin=origin, not_used=not_used,
        facts={"architecture": architecture_of(folder)}, files=tuple(weight_files(folder)),
        extra={TOKENIZER: wish.work / TOKENIZER},
    )  # fmt: skip


def stack_of(config: Mapping[str, Any], generation: Mapping[str, Any]) -> dict:
    """Our stack for a Whisper."""
    rows = int(config["vocab_size"])
    never = {
        key: [number for number in generation.get(key) or () if 0 <= number < rows]
        for key in SUPPRESSED
    }
    return resolve({
        "frontend": "none", "normalize": "none", "preprocessor": "whisper",
        "token_type": "hugging_face", "bpemodel": TOKENIZER,
        "encoder": "hf_whisper", "encoder_conf": {"model_config": dict(config)},
        "decoder": "hf_whisper", "decoder_conf": {"model_config": dict(config), **never},
        "model_conf": {"ctc_weight": 0.0, **whisper_tokens.MODEL_CONF},
    })  # fmt: skip
