"""Masks over padded frames, and the length arithmetic that goes with strides."""

import torch


def frame_mask(lengths: torch.Tensor, max_length: int) -> torch.Tensor:
    """(B, 1, T) of bool: true where a frame belongs to its utterance.

    Args:
        lengths: (B,) valid frames of each utterance.
        max_length: T.
    """
    frames = torch.arange(max_length, device=lengths.device)
    return (frames < lengths[:, None]).unsqueeze(1)


def strided_length(length, stride: int):
    """Frames after a 'same'-padded convolution of ``stride``: ceil(length / stride).

    Works on ints, numpy arrays and tensors alike.
    """
    return (length + stride - 1) // stride
