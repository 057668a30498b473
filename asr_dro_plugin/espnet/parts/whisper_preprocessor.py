"""ESPnet's preprocessor with Whisper's tokens in the place of its own tokenizers."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from espnet2.text.cleaner import TextCleaner
from espnet2.train.preprocessor import CommonPreprocessor

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.checks import is_first_process
from asr_dro_plugin.text.tokens import read_tokens
from asr_dro_plugin.text.whisper_tokens import (
    MODEL_CONF,
    TOKENIZER,
    WhisperTokenizer,
    read_tokenizer,
    save_tokenizer,
    strict_ids,
)


class WhisperPreprocessor(CommonPreprocessor):
    """Texts to a language's token and pieces; everything else is ``CommonPreprocessor``'s.

    Args:
        whisper_language: ISO 639-3 of texts that have no tag.
    """

    def __init__(
        self,
        train: bool,
        token_type: str | None = None,
        token_list: str | Sequence[str] | None = None,
        bpemodel: str | None = None,
        text_cleaner: str | Sequence[str] | None = None,
        whisper_language: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(train=train, token_type=None, **kwargs)
        if token_type is None:
            return
        if bpemodel is None:
            raise UserError(
                "preprocessor whisper needs the tokenizer's file. Give --bpemodel (stage 5 writes "
                f"{TOKENIZER} with --token_type hugging_face)."
            )
        self.text_cleaner = TextCleaner(text_cleaner)
        self.tokenizer = WhisperTokenizer(bpemodel, whisper_language)
        tokens = read_tokens(token_list) if isinstance(token_list, str) else token_list
        self.to_ids = strict_ids(tokens)

    def _text_process(self, data: dict) -> dict:
        """Overrides ESPnet's: ids of the text, with an error for what the list lacks."""
        text = data.get(self.text_name)
        if isinstance(text, str) and self.tokenizer is not None:
            ids = self.to_ids(self.tokenizer(self.text_cleaner(text)))
            data[self.text_name] = np.array(ids, dtype=np.int64)
        return data


def use_whispers_tokens(args: argparse.Namespace) -> None:
    """Write into ``model_conf`` what a Whisper decoder's token list asks for."""
    if getattr(args, "decoder", None) == "hf_whisper":
        args.model_conf = {**MODEL_CONF, **args.model_conf}


def keep_tokenizer(args: argparse.Namespace) -> None:
    """Put the tokenizer into the experiment, and name it there in ``config.yaml``.

    Without the file that was given (a resumed run) the experiment's own serves.
    """
    if args.token_type != "hugging_face" or not args.bpemodel:
        return
    kept, given = Path(args.output_dir, TOKENIZER), Path(args.bpemodel)
    first = is_first_process(args)
    if first and given.exists() and given.absolute() != kept.absolute():
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_tokenizer(read_tokenizer(given), kept)
    if (first or not given.exists()) and kept.exists():
        args.bpemodel = str(kept)
