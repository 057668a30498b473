"""Batches that do not fit into memory."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.run.oom_retry import in_fitting_pieces, is_out_of_memory, split


def batch_of(size):
    return {
        "utt_id": [f"utt{index}" for index in range(size)],
        "speech": torch.arange(size * 3.0).reshape(size, 3),
        "speech_lengths": torch.arange(1, size + 1),
    }


@given(st.integers(1, 40), st.data())
def test_pieces_hold_every_utterance_once_in_order_and_are_of_even_size(size, data):
    num_pieces = data.draw(st.integers(1, size))
    pieces = list(split(batch_of(size), num_pieces))
    assert len(pieces) == num_pieces
    assert [name for piece in pieces for name in piece["utt_id"]] == batch_of(size)["utt_id"]
    assert torch.equal(torch.cat([piece["speech"] for piece in pieces]), batch_of(size)["speech"])
    sizes = {len(piece["utt_id"]) for piece in pieces}
    assert max(sizes) - min(sizes) <= 1 and min(sizes) >= 1


def fits(limit, attempts=None):
    """Work that runs out of memory for pieces of more than ``limit`` of 8 utterances."""

    def work(num_pieces):
        (attempts if attempts is not None else []).append(num_pieces)
        if 8 / num_pieces > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return num_pieces

    return work


HALVINGS = [(8, [1]), (4, [1, 2]), (3, [1, 2, 4]), (1, [1, 2, 4, 8])]


@pytest.mark.parametrize(("limit", "tried"), HALVINGS)
def test_a_batch_is_halved_until_it_fits(limit, tried):
    attempts = []
    assert in_fitting_pieces(fits(limit, attempts), batch_of(8)) == (tried[-1], tried[-1])
    assert attempts == tried


def test_an_utterance_that_does_not_fit_alone_is_named():
    with pytest.raises(UserError, match=r"utt7 \(8 samples\) does not fit .*CUDA out of memory"):
        in_fitting_pieces(fits(0.5), batch_of(8))


def test_every_attempt_draws_the_same_random_numbers():
    drawn = []

    def work(num_pieces):
        drawn.append(
            (
                random.random(),
                np.random.rand(),  # noqa: NPY002
                torch.rand(1).item(),
            )
        )
        if num_pieces < 4:
            raise MemoryError
        return num_pieces

    in_fitting_pieces(work, batch_of(4))
    assert len(drawn) == 3 and len(set(drawn)) == 1


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(_num_pieces):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_fitting_pieces(work, batch_of(4))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (MemoryError(), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_known_in_all_its_forms(error, expected):
    assert is_out_of_memory(error) == expected


def test_torchs_own_refusal_on_the_cpu_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
