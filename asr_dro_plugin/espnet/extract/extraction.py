"""Stage 4 with ``--feats_type extracted``: a set's utterances through the frontend's pretrained
model, into a folder of features (``data.feature_store``).

Utterances are dealt to the parts by length, one after the other, so that parts take equally long
and the utterances of a batch are of about one length.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from espnet2.tasks.asr import frontend_choices

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import Location, SpeechItem, batches_of, read_ahead
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.data import feature_store as store
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.ssl_weights import apply_ssl_checkpoint

TABLES = ("wav.scp", "utt2num_samples")
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


@dataclass(frozen=True)
class Extraction:
    """A set on its way into a folder.

    Attributes:
        data_dir: filtered set of stage 4; its audio is read.
        out_dir: the folder.
        num_parts: how many parts it is made in.
        key: what the features depend on beside the audio (``key_of``).
    """

    data_dir: str
    out_dir: str
    num_parts: int
    key: Mapping

    @cached_property
    def tables(self) -> dict[str, dict[str, str]]:
        """``wav.scp`` and ``utt2num_samples``."""
        return UttTables.read(self.data_dir, TABLES).tables

    @cached_property
    def durations(self) -> dict[str, float]:
        """Seconds, the longest utterance first."""
        samples = {u: int(number) for u, number in self.tables["utt2num_samples"].items()}
        ranked = sorted(samples, key=lambda utt_id: (-samples[utt_id], utt_id))
        return {utt_id: samples[utt_id] / SAMPLE_RATE for utt_id in ranked}

    def utt_ids_of(self, part: int) -> list[str]:
        """The part's utterances, the longest first."""
        return list(self.durations)[part - 1 :: self.num_parts]

    def made_by(self, utt_ids: Sequence[str]) -> str:
        """Fingerprint of all that decides the features of utterances."""
        tables = ({u: self.tables[name][u] for u in utt_ids} for name in TABLES)
        return store.fingerprint(self.key, store.sound_facts(*tables))

    @cached_property
    def made_of(self) -> str:
        """Fingerprint of the whole set's, however many parts it is made in."""
        return self.made_by(list(self.durations))

    def is_done(self) -> bool:
        """Whether the folder holds these very features, whole."""
        try:
            return store.read_record(self.out_dir).get("made_of") == self.made_of
        except UserError:
            return False

    def extract(self, part: int, frontend: torch.nn.Module, device: str = "cpu") -> None:
        """Make a part; utterances that an earlier run has finished are not done again.

        Raises:
            UserError: an utterance that cannot be read, or that the model makes no numbers of.
            DiskFull: no room; what is finished stays.
        """
        if self.is_done():
            return
        own, of = self.utt_ids_of(part), f" {part}/{self.num_parts}" * (self.num_parts > 1)
        writer = store.PartWriter(self.out_dir, part, self.made_by(own), self.key)
        left = [utt_id for utt_id in own if utt_id not in writer.done]
        with writer, Progress(len(own), f"extract {Path(self.data_dir).name}{of}") as bar:
            bar.advance(len(own) - len(left))
            for items in self._read(left, BATCH_SECONDS[device]):
                writer.write(matrices_of(frontend, items, device))
                bar.advance(len(items))
        logging.info(
            "%s: %d of %d utterances of part %d were there already", self.out_dir,
            len(own) - len(left), len(own), part,
        )  # fmt: skip

    def _read(self, utt_ids: Sequence[str], seconds: float) -> Iterator[list[SpeechItem]]:
        wav_scp = self.tables["wav.scp"]
        batches = batches_of(utt_ids, self.durations, seconds)
        yield from read_ahead([Location(u, wav_scp[u]) for u in batch] for batch in batches)

    def merge(self) -> dict:
        """Make the folder whole; the record.

        Raises:
            UserError: a part is not finished.
        """
        if self.is_done():
            logging.info("%s holds these features already.", self.out_dir)
            return store.read_record(self.out_dir)
        parts = range(1, self.num_parts + 1)
        made_by = [self.made_by(self.utt_ids_of(part)) for part in parts]
        facts = {"key": self.key, "made_of": self.made_of}
        record = store.merge(self.out_dir, made_by, list(self.durations), facts)
        logging.info(
            "%s: %d utterances, %d frames, %.2f GB", self.out_dir, record["num_utts"],
            record["num_frames"], sum(record["ark_sizes"].values()) / 1e9,
        )  # fmt: skip
        if clipped := record["num_clipped"]:
            worst = max(clipped, key=clipped.__getitem__)
            logging.warning(
                "%s: %d utterances have values beyond %g, the largest of float16, which were "
                "clipped to it (most: %s, %d values). Layers that are normalised, or others, have "
                "none.", self.out_dir, len(clipped), store.LARGEST, worst, clipped[worst],
            )  # fmt: skip
        return record


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
