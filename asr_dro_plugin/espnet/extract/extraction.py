"""Stage 4 with ``--feats_type extracted``: a set's utterances through the frontend's pretrained
model, into a folder of features (``data.feature_store``).
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from espnet2.tasks.asr import frontend_choices

from asr_dro_plugin.audio.read_ahead import Location, SpeechItem, batches_of, read_ahead
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.data import feature_store as store
from asr_dro_plugin.data.feature_sets import FeatureSet
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.ssl_weights import apply_ssl_checkpoint

BATCH_SECONDS = {"cpu": 30.0, "cuda": 600.0}  # of speech, padding included


def build_frontend(config: Mapping, device: str) -> torch.nn.Module:
    """The frontend of a configuration with its pretrained weights, in evaluation mode.

    Raises:
        UserError: no such checkpoint, a damaged one, a hidden state that it does not have.
    """
    args = argparse.Namespace(**config)
    path = apply_ssl_checkpoint(args)
    frontend = frontend_choices.get_class(args.frontend)(**args.frontend_conf or {})
    if path is not None:
        frontend.load_pretrained(path)
    return frontend.eval().requires_grad_(False).to(device)


def extract(
    features: FeatureSet, part: int, frontend: torch.nn.Module, device: str = "cpu"
) -> None:
    """Make a part; utterances that an earlier run has finished are not done again.

    Raises:
        UserError: an utterance that cannot be read, or that the model makes no numbers of.
        DiskFull: no room; what is finished stays.
    """
    if features.is_done():
        return
    own, of = features.utt_ids_of(part), f" {part}/{features.num_parts}" * (features.num_parts > 1)
    writer = store.PartWriter(features.out_dir, part, features.made_by(own), features.key)
    left = [utt_id for utt_id in own if utt_id not in writer.done]
    with writer, Progress(len(own), f"extract {Path(features.data_dir).name}{of}") as bar:
        bar.advance(len(own) - len(left))
        for items in _read(features, left, BATCH_SECONDS[device]):
            writer.write(matrices_of(frontend, items, device))
            bar.advance(len(items))
    logging.info(
        "%s: %d of %d utterances of part %d were there already", features.out_dir,
        len(own) - len(left), len(own), part,
    )  # fmt: skip


def _read(
    features: FeatureSet, utt_ids: Sequence[str], seconds: float
) -> Iterator[list[SpeechItem]]:
    wav_scp = features.tables["wav.scp"]
    batches = batches_of(utt_ids, features.durations, seconds)
    yield from read_ahead([Location(u, wav_scp[u]) for u in batch] for batch in batches)


@torch.inference_mode()
def matrices_of(
    frontend: torch.nn.Module, items: Sequence[SpeechItem], device: str
) -> list[tuple[str, np.ndarray, int]]:
    """Each utterance's id, hidden states (T, L * D) in float16, and how many values are clipped."""
    for item in items:
        if item.fault:
            raise UserError(f"{item.utt_id} cannot be read: {item.fault}. Run stage 3 again.")
    lengths = torch.tensor([len(item.samples) for item in items])
    speech = torch.zeros(len(items), int(lengths.max()))
    for row, item in zip(speech, items, strict=True):
        row[: len(item.samples)] = torch.from_numpy(item.samples)
    hidden, frames = frontend.hidden_layers(speech.to(device), lengths.to(device))
    rows = zip(items, hidden.flatten(2).float().cpu().numpy(), frames.tolist(), strict=True)
    return [(item.utt_id, *store.in_float16(row[:n], item.utt_id)) for item, row, n in rows]
