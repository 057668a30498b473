"""Stage 10: lengths and groups of every utterance, from tables alone; no sound is decoded.

Utterances that CTC cannot align at the chosen stack's frame shift are left out here, where it costs
a second, and not found in epoch 3: a CTC path needs one frame for each label and one more between
two equal neighbours (Graves et al. 2006), else the loss is infinite.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import write_table
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.stack.limits import TOO_LONG, TOO_MANY_LABELS, Limits

TABLES = ("text", "utt2lang", "utt2category", "utt2num_samples")
CTC_LIMITS = Limits()


class Frames(Protocol):
    """How many frames CTC sees; ``stack.frames.frame_counter`` makes one from a configuration."""

    frame_shift: float
    blame: str

    def num_frames(self, num_samples: np.ndarray) -> np.ndarray:
        """(N,) samples -> (N,) frames."""


def labels_and_repeats(ids: Sequence[int]) -> tuple[int, int]:
    """Number of labels, and of neighbours that are equal, which CTC must part by a blank."""
    return len(ids), sum(a == b for a, b in zip(ids, ids[1:], strict=False))


def choose_groups(
    categories: Counter[str], init_groups: str | None = None, extend: bool = False
) -> GroupMap:
    """The groups of a training set; with ``init_groups``, of the model it continues.

    Raises:
        UserError: a category that the continued model lacks, unless it may be extended.
    """
    if not init_groups:
        return GroupMap(categories)
    old = GroupMap.read(init_groups)
    new = sorted(set(categories) - set(old.names))
    if new and not extend:
        raise UserError(
            f"The training data has {len(new)} groups that {init_groups} lacks: {' '.join(new)}. "
            "Add them on purpose with --extend_groups true, or leave their data out."
        )
    return old.extended(new)


def write_shapes(
    data: UttTables,
    out_dir: str | os.PathLike,
    to_ids: Callable[[str], list[int]],
    vocab_size: int,
    token_type: str,
    groups: GroupMap,
    frames: Frames,
    limits: Limits = CTC_LIMITS,
) -> DropLedger:
    """Write one set's shape files without what does not fit, and return what that was.

    What fits is said by the stack's ``limits``: a frame for each label under CTC, and Whisper's
    positions.

    Files: ``speech_shape`` (samples), ``text_shape.<token_type>`` (tokens,vocabulary),
    ``utt2group`` (group ids), ``batch_keys`` and ``stats_keys`` as ESPnet's stage 10 leaves them.
    """
    out, ledger = Path(out_dir), DropLedger()
    utt_ids = data.utt_ids
    samples = np.array([int(data.tables["utt2num_samples"][u]) for u in utt_ids], dtype=np.int64)
    speech, text, group = {}, {}, {}
    for utt_id, num_samples, num_frames in zip(
        utt_ids, samples.tolist(), np.asarray(frames.num_frames(samples)).tolist(), strict=True
    ):
        # ESPnet strips every kind of white space at the end of a text line
        labels, repeats = labels_and_repeats(to_ids(data.tables["text"][utt_id].rstrip()))
        if fault := limits.fault(num_samples, num_frames, labels, repeats):
            ledger.add(utt_id, data.lang(utt_id), *fault)
            continue
        speech[utt_id] = str(num_samples)
        text[utt_id] = f"{labels},{vocab_size}"
        group[utt_id] = str(_group_id(groups, data, utt_id))
    write_table(out / f"text_shape.{token_type}", text)
    write_table(out / "utt2group", group)
    for name, keys in (("batch_keys", "speech\ntext\n"), ("stats_keys", "")):
        with atomic_write(out / name) as stream:
            stream.write(keys)
    write_table(out / "speech_shape", speech)
    return ledger


def _group_id(groups: GroupMap, data: UttTables, utt_id: str) -> int:
    name = data.tables["utt2category"][utt_id]
    if name not in groups:
        raise UserError(
            f"{data.path}/utt2category gives '{utt_id}' the category '{name}', which the training "
            f"data lacks (it has {' '.join(groups.names)}). Validate on the groups you train on."
        )
    return groups.id_of(name)


def conclude(
    parts: dict[str, tuple[UttTables, DropLedger]],
    out_dir: str | os.PathLike,
    frames: Frames,
    max_drop: float,
) -> None:
    """Write ``dropped.tsv`` of each set and of all, and refuse a loss above ``max_drop``.

    Raises:
        UserError: names the set, the language, and the frame shift that is to blame.
    """
    out = Path(out_dir)
    everything = DropLedger()
    for _, ledger in parts.values():
        everything.drops += ledger.drops
    everything.write(out / "dropped.tsv")
    remedy = _remedy({drop.reason for drop in everything.drops}, frames)
    for name, (data, ledger) in parts.items():
        listed = out / name / "dropped.tsv"
        ledger.conclude(data.totals(), listed, str(data.path), max_drop, remedy)
        if len(ledger.drops) == len(data.utt_ids):
            raise UserError(f"{data.path} has no utterance left. {remedy}")


def _remedy(reasons: Collection[str], frames: Frames) -> str:
    """What to do about utterances that were left out."""
    if TOO_LONG in reasons:
        return (
            "Cut long recordings (asr-dro segment), leave them out in stage 4 "
            "(--max_wav_duration), or raise --max_drop."
        )
    if TOO_MANY_LABELS in reasons:
        return "Cut them into shorter ones (asr-dro segment), or raise --max_drop."
    return (
        f"At {1000 * frames.frame_shift:g} ms per frame ({frames.blame}) their audio has fewer "
        "frames than CTC needs for their text. Choose a stack with a smaller frame shift, or "
        "raise --max_drop."
    )
