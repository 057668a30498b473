"""Stage 10's files of auxiliary targets: each utterance's units as numbers.

ESPnet's preprocessor would spell them by the letters' list; numbers pass through it as they are.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import missing_keys, read_table, write_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.preflight.measure import SetFacts, labels_and_repeats
from asr_dro_plugin.stack.frames import FrameCounter
from asr_dro_plugin.text.auxiliary import INPUT, TOKENS
from asr_dro_plugin.text.tokens import build_tokenizer, read_tokens, token_ids


def write_aux_ids(
    out_dir: str | os.PathLike,
    aux_dir: str | os.PathLike,
    sets: Mapping[str, SetFacts],
    frames: FrameCounter,
) -> None:
    """Write ``PART/text_aux`` for the utterances that training takes.

    Args:
        out_dir: the statistics folder.
        aux_dir: what stage 5 wrote: ``SET/text_aux`` and ``tokens_aux.txt``.
        sets: "train" and "valid", measured.
        frames: of the stack; an utterance with fewer than its units need learns its text alone.

    Raises:
        UserError: no such files, or an utterance without units.
    """
    aux = Path(aux_dir)
    if not (aux / TOKENS).is_file():
        raise UserError(f"{aux / TOKENS} does not exist. Run stage 5 with --aux_text.")
    to_ids = token_ids(build_tokenizer("word"), read_tokens(aux / TOKENS))
    for part, found in sets.items():
        units = read_table(aux / found.name / INPUT, allow_empty_value=False)
        if missing := missing_keys(units, found.usable):
            raise UserError(
                f"{aux / found.name / INPUT} lacks {len(missing)} utterances, for example "
                f"{missing[0]}. Run stage 5 again."
            )
        ids = {utt_id: to_ids(units[utt_id]) for utt_id in found.usable}
        write_table(Path(out_dir, part, INPUT), {u: " ".join(map(str, i)) for u, i in ids.items()})
        short = [u for u, i in ids.items() if _needed(i) > frames.num_frames(found.usable[u])]
        if short:
            told = "%s: %d of %d utterances have too few frames for their units: %s"
            logging.warning(told, found.name, len(short), len(ids), ", ".join(short[:5]))


def _needed(ids: list[int]) -> int:
    return sum(labels_and_repeats(ids))
