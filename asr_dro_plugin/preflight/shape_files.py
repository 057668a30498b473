"""Stage 10's files: lengths and groups of every utterance that fits, and the list of the others.

What does not fit is left out here, where it costs a second, and not found in epoch 3.
"""

import logging
import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from asr_dro_plugin.base.files import write_text
from asr_dro_plugin.base.kaldi_io import write_table
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.preflight.group_files import group_id
from asr_dro_plugin.preflight.measure import Ruler, SetFacts
from asr_dro_plugin.stack.frames import FrameCounter
from asr_dro_plugin.stack.limits import TOO_LONG, TOO_MANY_LABELS


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


def write_statistics(
    out_dir: str | os.PathLike,
    sets: Mapping[str, SetFacts],
    ruler: Ruler,
    token_type: str,
    groups: GroupMap,
    max_drop: float,
) -> None:
    """Write the statistics folder; ``groups.txt`` is the last of it.

    Args:
        out_dir: gets a folder for each set, ``dropped.tsv`` and ``groups.txt``.
        sets: "train" and "valid", measured.
        ruler: what they were measured by.
        token_type: char, bpe, word or hugging_face.
        groups: of the training.
        max_drop: largest share of a language that may be left out.

    Raises:
        UserError: a loss above ``max_drop``; names the set, the language, and what is to blame.
    """
    for part, found in sets.items():
        write_shapes(found, Path(out_dir, part), len(ruler.tokens), token_type, groups)
    _conclude(sets, Path(out_dir), ruler.frames, max_drop)
    groups.write(Path(out_dir, "groups.txt"))
    logging.info(
        "%s: %d groups, %d tokens, %g ms per frame (%s)", out_dir, len(groups), len(ruler.tokens),
        1000 * ruler.frames.frame_shift, ruler.frames.blame,
    )  # fmt: skip


def write_shapes(
    found: SetFacts, out: Path, vocab_size: int, token_type: str, groups: GroupMap
) -> None:
    """Write one set's shape files without what does not fit.

    Files: ``speech_shape`` (samples), ``text_shape.<token_type>`` (tokens,vocabulary),
    ``utt2group`` (group ids), ``batch_keys`` and ``stats_keys`` as ESPnet's stage 10 leaves them.
    """
    names, folder = found.data.tables["utt2category"], found.data.path
    ids = {utt: str(group_id(groups, names[utt], utt, folder)) for utt in found.usable}
    text = {utt_id: f"{labels},{vocab_size}" for utt_id, labels in found.num_labels.items()}
    write_table(out / f"text_shape.{token_type}", text)
    write_table(out / "utt2group", ids)
    for name, keys in (("batch_keys", "speech\ntext\n"), ("stats_keys", "")):
        write_text(out / name, keys)
    write_table(out / "speech_shape", {utt_id: str(n) for utt_id, n in found.usable.items()})


def _conclude(
    sets: Mapping[str, SetFacts], out: Path, frames: FrameCounter, max_drop: float
) -> None:
    """Write ``dropped.tsv`` of each set and of all, and refuse a loss above ``max_drop``."""
    everything = DropLedger()
    for found in sets.values():
        everything.drops += found.dropped.drops
    everything.write(out / "dropped.tsv")
    remedy = _remedy({drop.reason for drop in everything.drops}, frames)
    for part, found in sets.items():
        data, ledger = found.data, found.dropped
        ledger.conclude(data.totals(), out / part / "dropped.tsv", str(data.path), max_drop, remedy)
        if not found.usable:
            raise UserError(f"{data.path} has no utterance left. {remedy}")


def _remedy(reasons: Collection[str], frames: FrameCounter) -> str:
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
