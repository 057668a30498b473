"""Where the text is that a model learnt its characters from."""

import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG
from asr_dro_plugin.reporting.read.data_sets import recipe_of
from asr_dro_plugin.reporting.read.facts import read_config
from asr_dro_plugin.scoring.training_text import (
    TrainingText,
    read_training_text,
    text_of_tokens,
)
from asr_dro_plugin.text.normalizers import get_normalizer
from asr_dro_plugin.text.tokens import read_symbols
from asr_dro_plugin.text.whisper_tokens import is_whisper_list


def find_training_text(path: str | os.PathLike, text_norm: str) -> TrainingText | None:
    """The characters that a model can know; None where an experiment tells nothing of them.

    Args:
        path: a Kaldi text, or a trained experiment: its training text, but its tokens where that
            is not here, or where the model could write before it was trained on it (continued,
            imported, Whisper).
        text_norm: what texts go through before they are compared.

    Raises:
        UserError: neither, or a text that is damaged.
    """
    path, normalize = Path(path), get_normalizer(text_norm)
    if path.is_file():
        return read_training_text(path, normalize)
    config = read_config(path)
    if not config:
        raise UserError(
            f"--train_text {path} is neither a text nor a trained experiment ({CONFIG} is not "
            "there). Give the text that the model was trained on, or leave it out."
        )
    data = config.get("train_data_path_and_name_and_type") or ()
    texts = [recipe_of(path) / file for file, name, *_ in data if name == "text"]
    if texts and texts[0].is_file() and not _could_write(config):
        return read_training_text(texts[0], normalize)
    tokens = config.get("token_list") or []
    tokens = read_symbols(tokens) if isinstance(tokens, str) else [str(each) for each in tokens]
    if is_whisper_list(tokens):
        return TrainingText({}, spells_all=True)  # they are made of bytes
    return text_of_tokens(tokens, normalize) if tokens else None


def _could_write(config: Mapping) -> bool:
    """Whether the model knew characters before it met its training text."""
    named = [config.get(key) for key in ("init_exp", "init_param", "decoder")]
    return bool(named[0] or named[1]) or "whisper" in str(named[2])
