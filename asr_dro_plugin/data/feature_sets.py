"""A set whose utterances become features (``--feats_type extracted``): what decides them, who makes
which, and whether they are made.

Utterances are dealt to the parts by length, one after the other, so that parts take equally long
and the utterances of a batch are of about one length.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.data import feature_store as store
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.errors import UserError

TABLES = ("wav.scp", "utt2num_samples")


@dataclass(frozen=True)
class FeatureSet:
    """A set on its way into a folder.

    Attributes:
        data_dir: filtered set of stage 4; its audio is read.
        out_dir: the folder.
        num_parts: how many parts it is made in.
        key: what the features depend on beside the audio.
        is_taken: (N,) samples -> (N,) whether the model takes such an utterance; None: any.
    """

    data_dir: str
    out_dir: str
    num_parts: int
    key: Mapping
    is_taken: Callable[[np.ndarray], np.ndarray] | None = None

    @cached_property
    def tables(self) -> dict[str, dict[str, str]]:
        """``wav.scp`` and ``utt2num_samples``."""
        return UttTables.read(self.data_dir, TABLES).tables

    @cached_property
    def durations(self) -> dict[str, float]:
        """Seconds of the utterances that the model takes, the longest first."""
        table = self.tables["utt2num_samples"]
        samples = np.array([int(number) for number in table.values()])
        taken = np.ones(len(samples), bool) if self.is_taken is None else self.is_taken(samples)
        kept = {u: n for u, n, fits in zip(table, samples.tolist(), taken, strict=True) if fits}
        ranked = sorted(kept, key=lambda utt_id: (-kept[utt_id], utt_id))
        return {utt_id: kept[utt_id] / SAMPLE_RATE for utt_id in ranked}

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
        if others := len(self.tables["wav.scp"]) - record["num_utts"]:
            words = "%s: %d utterances are longer or shorter than the model takes: stage 10 leaves "
            logging.warning(words + "them out.", self.data_dir, others)
        if clipped := record["num_clipped"]:
            worst = max(clipped, key=clipped.__getitem__)
            logging.warning(
                "%s: %d utterances have values beyond %g, the largest of float16, which were "
                "clipped to it (most: %s, %d values). Layers that are normalised, or others, have "
                "none.", self.out_dir, len(clipped), store.LARGEST, worst, clipped[worst],
            )  # fmt: skip
        return record
