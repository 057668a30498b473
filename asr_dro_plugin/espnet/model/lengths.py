"""How long the utterances of a batch are, whether it holds speech or features of it."""

from collections.abc import Mapping

import torch

NUM_SAMPLES = "num_samples"  # of the data: one integer an utterance, beside extracted features


def num_samples_of(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """(B,) samples of speech: what the data say of them, else ``speech`` itself has so many."""
    return batch[NUM_SAMPLES if NUM_SAMPLES in batch else "speech_lengths"].reshape(-1)
