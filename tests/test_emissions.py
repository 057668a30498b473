"""An emission says at once when its parts contradict each other."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError

TOKENS = ("<blank>", "a", "b")


def emission(library="numpy", **changes):
    parts = {
        "log_probs": np.zeros((2, 5, 3), dtype=np.float32),
        "lengths": np.array([5, 0]),
        "frame_shift": 0.02,
        "blank_id": 0,
        "tokens": list(TOKENS),
    }
    parts |= changes
    if library == "torch":
        for name in ("log_probs", "lengths"):
            parts[name] = torch.from_numpy(np.asarray(parts[name]))
    return Emission(**parts)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_sound_emission_is_taken_from_both_libraries(library):
    made = emission(library)
    assert len(made) == 2
    assert made.tokens == TOKENS


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"log_probs": np.zeros((5, 3), dtype=np.float32)}, r"\(B, T, V\)"),
        ({"lengths": np.array([5])}, "lengths must be"),
        ({"lengths": np.array([5, 6])}, r"0\.\.5"),
        ({"lengths": np.array([-1, 5])}, r"0\.\.5"),
        ({"frame_shift": 0.0}, "frame_shift"),
        ({"frame_shift": float("nan")}, "frame_shift"),
    ],
)
def test_shapes_and_lengths_that_contradict_each_other_are_refused(library, changes, words):
    with pytest.raises(ValueError, match=words):
        emission(library, **changes)


@pytest.mark.parametrize("changes", [{"tokens": ["<blank>", "a"]}, {"tokens": [*TOKENS, "c"]}])
def test_another_models_token_list_is_refused_with_the_remedy(changes):
    with pytest.raises(UserError, match=r"model gives 3\. Use the tokens.txt"):
        emission(**changes)


@pytest.mark.parametrize("blank_id", [-1, 3])
def test_a_blank_that_is_no_column_is_refused(blank_id):
    with pytest.raises(UserError, match=r"0\.\.2"):
        emission(blank_id=blank_id)


def test_an_empty_batch_is_legal():
    log_probs = np.zeros((0, 0, 3), dtype=np.float32)
    assert len(emission(log_probs=log_probs, lengths=np.zeros(0, dtype=int))) == 0


def test_it_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        emission().blank_id = 1


def test_the_module_needs_no_torch():
    program = "import asr_dro_plugin.emissions, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
