"""A few utterances of a planned batch: their tensors, texts, and greedy hypotheses."""

import itertools
from collections.abc import Collection, Sequence

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.torch_utils.device_funcs import to_device

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.batches.loaders import batches_from
from asr_dro_plugin.espnet.model.ctc_scorer import has_ctc
from asr_dro_plugin.espnet.model.group_scores import best_path_ids
from asr_dro_plugin.espnet.model.lengths import num_samples_of
from asr_dro_plugin.espnet.model.losses import num_needed_frames
from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits
from asr_dro_plugin.stack.frames import FrameCounter
from asr_dro_plugin.text.tokens import TOKEN_TYPES

LOOKED_AT = 20  # batches
SPARE_TOKENS = 10  # that a decoder may write beyond the longest reference


def first_batch(
    factory: AbsIterFactory, model: ESPnetASRModel, num_utts: int, frames: FrameCounter
) -> tuple[dict, dict[str, torch.Tensor]]:
    """The shortest ``num_utts`` utterances with text that CTC can align, of one planned batch.

    It is the first batch that has so many, or of the first ``LOOKED_AT`` the one that has most.

    Returns:
        What a ``OneBatchRun`` tells of them (their texts with tags, their seconds without padding;
        ``too_short`` are left out of this batch and those before it), and ESPnet's batch of these
        alone, cut to the longest of them.

    Raises:
        UserError: no batch has any.
    """
    best, too_short = ({"utt_ids": []}, {}), {}
    batches = itertools.islice(batches_from(factory, 1), LOOKED_AT)
    for number, (utt_ids, batch) in enumerate(batches, start=1):
        if has_ctc(model):
            too_short |= _too_short(utt_ids, batch, frames)
        told, tensors = _shortest(utt_ids, batch, model, num_utts, too_short)
        if len(told["utt_ids"]) > len(best[0]["utt_ids"]):
            best = {**told, "number": number}, tensors
        if len(best[0]["utt_ids"]) == num_utts:
            break
    if not best[0]["utt_ids"]:
        raise UserError(_why_none(too_short))
    return {**best[0], "too_short": too_short}, best[1]


def _shortest(
    utt_ids: Sequence[str], batch: dict, model: ESPnetASRModel, num_utts: int,
    too_short: Collection[str],
) -> tuple[dict, dict[str, torch.Tensor]]:  # fmt: skip
    """The shortest utterances of a batch that have a text and are not too short for it."""
    texts = [_text(row[:n], model) for row, n in zip(batch["text"], batch["text_lengths"])]
    lengths = batch["speech_lengths"].tolist()
    fit = [place for place, name in enumerate(utt_ids) if texts[place] and name not in too_short]
    kept = sorted(sorted(fit, key=lengths.__getitem__)[:num_utts])
    names, references = ([column[place] for place in kept] for column in (utt_ids, texts))
    tensors = _rows(batch, kept)
    seconds = float(num_samples_of(tensors).sum()) / SAMPLE_RATE
    return {
        "utt_ids": names, "references": references, "planned": len(utt_ids),
        "speech_seconds": seconds, "num_labels": int(tensors["text_lengths"].sum()),
    }, tensors  # fmt: skip


def heard(model: ESPnetASRModel, batch: dict, device: str) -> list[str]:
    """Greedy hypotheses of a batch, as decoding gives them: in evaluation mode, which it leaves.

    The best path of CTC; of a model without CTC what its decoder finds likeliest, token by token.

    Raises:
        UserError: a model that has neither.
    """
    model.eval()
    with torch.no_grad():
        rows = _greedy_ids(model, to_device(batch, device))
    model.train()
    return [_text(ids or (), model) for ids in rows]


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> EditCounts:
    """Word edits of a batch; a language tag is a word like any other."""
    pairs = zip(references, hypotheses, strict=True)
    return sum((count_edits(ref.split(), hyp.split()) for ref, hyp in pairs), EditCounts())


def _greedy_ids(model: ESPnetASRModel, tensors: dict) -> list[list[int] | None]:
    speech, lengths = tensors["speech"], tensors["speech_lengths"]
    if not has_ctc(model):
        if not hasattr(model, "greedy_ids"):
            raise UserError("A model without CTC is decoded greedily with model: dro only.")
        most = tensors["text"].shape[1] + SPARE_TOKENS
        return model.greedy_ids(speech, lengths, max_tokens=most)
    encoder_out, lengths = model.encode(speech, lengths)
    if isinstance(encoder_out, tuple):  # with what is between the layers
        encoder_out = encoder_out[0]
    return best_path_ids(model.ctc.ctc_lo(encoder_out).float(), lengths, model.blank_id)


def _text(ids: Sequence[int] | torch.Tensor, model: ESPnetASRModel) -> str:
    token_type = getattr(model, "token_type", "char")
    spelled = token_type if token_type in TOKEN_TYPES else "word"
    return tokens_to_text([int(index) for index in ids], model.token_list, spelled)


def _too_short(
    utt_ids: Sequence[str], batch: dict, frames: FrameCounter
) -> dict[str, tuple[int, int]]:
    """Utterances with fewer frames than CTC needs, and both numbers."""
    given = frames.num_frames(num_samples_of(batch).numpy())
    needed = num_needed_frames(batch["text"], batch["text_lengths"])
    rows = zip(utt_ids, given.tolist(), needed.tolist(), strict=True)
    return {utt_id: (has, needs) for utt_id, has, needs in rows if has < needs}


def _rows(batch: dict, places: Sequence[int]) -> dict[str, torch.Tensor]:
    """Some rows of every tensor, cut to their longest."""
    cut = {key: value[list(places)] for key, value in batch.items()}
    for key in batch:
        if places and f"{key}_lengths" in cut:
            cut[key] = cut[key][:, : int(cut[f"{key}_lengths"].max())]
    return cut


def _why_none(too_short: dict[str, tuple[int, int]]) -> str:
    if not too_short:
        return (
            "The first batches have no utterance with a text to learn. Look at the training data."
        )
    name, (has, needs) = next(iter(too_short.items()))
    return (
        f"No utterance of the first batches can be aligned: {name} gives {has} frames, and its "
        f"text needs {needs}. Take an encoder with shorter frames."
    )
