"""However a recording comes in, its transcript is that of the whole, and no word is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.audio.regions import RegionPiece, one_region
from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.transcribing.abs_recogniser import OutOfMemory
from asr_dro_plugin.transcribing.streaming import stream
from asr_dro_plugin.transcribing.stretches import Stretches
from asr_dro_plugin.transcribing.transcriber import Transcriber, TranscriberSettings
from tests.runtime.live.tones import TOKENS, ToneRecogniser, says

WORDS = ("cab", "bed", "a", "fad", "heed", "bb", "gaffe", "d")


def transcriber(chunk_length=2.0, recogniser=None, **config):
    config = read_decode_config({"mode": "greedy", **config})
    recogniser = recogniser or ToneRecogniser()
    decoder = build_decoder(config, TOKENS, "char", 0)
    settings = TranscriberSettings(chunk_length=chunk_length, times=True)
    return Transcriber(recogniser, decoder, settings, decoder.language.only)


def streamed(work, samples, lengths=(4000,)):
    """All that is told of a recording that comes in blocks of these lengths."""
    ends = np.cumsum(np.resize(lengths, len(samples) // min(lengths) + 2))
    blocks = np.split(samples, ends[ends < len(samples)])
    return list(stream(work, one_region(blocks), "talk"))


@st.composite
def talks(draw):
    """Words with pauses of several lengths, some of them digital silence of seconds."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
    pauses = draw(st.lists(st.sampled_from([" ", " ", " ", " _", "_ ", " __"]), min_size=1))
    text = "E" + "".join(w + pauses[n % len(pauses)] for n, w in enumerate(words))
    noise = 0.001 * np.random.default_rng(0).standard_normal(1 << 20).astype(np.float32)
    samples = says(text, pause=draw(st.integers(1, 3)))
    return words, (samples + np.resize(noise, len(samples)) if draw(st.booleans()) else samples)


@settings(max_examples=40, deadline=None)
@given(talk=talks(), lengths=st.lists(st.integers(500, 90_000), min_size=1, max_size=5))
def test_no_word_is_lost_or_doubled_over_any_cuts(talk, lengths):
    words, samples = talk
    found = streamed(transcriber(), samples, lengths)
    transcript = found[-1].transcript
    assert transcript.text == "[eng] " + " ".join(words)
    assert [word.text for word in transcript.best.words] == words
    assert [word for each in found for word in each.words] == list(transcript.best.words)
    starts = [word.start for word in transcript.best.words]
    assert starts == sorted(starts)
    assert transcript.duration == pytest.approx(len(samples) / 16000)
    whole = transcriber(chunk_length=1e6)([SpeechItem("talk", samples)])[0]
    for one, two in zip(transcript.best.words, whole.best.words, strict=True):
        assert (one.text, one.start, one.end) == (two.text, two.start, two.end)


@pytest.mark.parametrize("mode", ["greedy", "beam"])
def test_what_is_final_stays_and_the_last_piece_has_all_of_it(mode):
    samples = says("E" + "cab bed _" * 40)
    found = streamed(transcriber(mode=mode), samples)
    texts = [each.text for each in found]
    assert all(later.startswith(text) for text, later in zip(texts, texts[1:]))
    assert found[-1].transcript.text == "[eng] " + texts[-1]
    assert texts[-1].split() == ["cab", "bed"] * 40 and len(set(texts)) > 10
    done = [each.seconds_done for each in found]
    assert done == sorted(done) and done[-1] == found[-1].duration == len(samples) / 16000


def test_a_long_recording_has_one_language_that_of_most_of_it():
    samples = says("E" + "cab " * 10 + "F" + "bed " * 60)
    mixed = streamed(transcriber(), samples)[-1].transcript
    assert mixed.lang in ("eng", "fra") and mixed.text.count("[") == 1
    forced = streamed(transcriber(lang="fra"), samples)[-1].transcript
    assert forced.lang == "fra" and forced.text == "[fra] " + "cab " * 10 + ("bed " * 60).strip()


def test_digital_silence_gives_frames_and_no_words():
    silence = np.zeros(20 * 16000, np.float32)
    samples = np.concatenate([silence, says("E cab"), silence, says(" bed"), silence])
    best = streamed(transcriber(), samples)[-1].transcript.best
    assert [word.text for word in best.words] == ["cab", "bed"]
    assert best.words[0].start == pytest.approx(20.16) and best.words[1].start > 40
    nothing = streamed(transcriber(), np.resize(silence, 3 * len(silence)))[-1].transcript
    assert (nothing.text, nothing.fault, nothing.duration) == ("", "", 60.0)


def test_words_behind_a_long_silence_have_times(caplog):
    """The tag belongs to the beginning; a stretch that excludes it everywhere has words all the
    same."""
    quiet = np.zeros(70 * 16000, np.float32)
    samples = np.concatenate([says("E cab"), quiet, says(" bed"), quiet, says(" a")])
    best = streamed(transcriber(), samples)[-1].transcript.best
    assert [word.text for word in best.words] == ["cab", "bed", "a"] and not caplog.records
    assert [round(word.start) for word in best.words] == [0, 70, 141]


def test_regions_become_one_transcript_with_times_of_the_recording():
    def regions():
        yield RegionPiece(says("E cab"), 5.0, False, 7.0)
        yield RegionPiece(says(" a"), 5.0, True, 8.0)
        yield RegionPiece(np.zeros(0, np.float32), 0.0, False, 9.0)
        yield RegionPiece(says("E" + "bed _" * 9), 30.0, True, 50.0)

    found = list(stream(transcriber(), regions(), "talk", 60.0))
    best = found[-1].transcript.best
    assert [word.text for word in best.words] == ["cab", "a"] + ["bed"] * 9
    assert best.words[0].start == pytest.approx(5.16) and best.words[2].start > 30
    assert [word for each in found for word in each.words] == list(best.words)
    assert found[-1].transcript.duration == 50 and found[0].duration == 60


def test_a_model_that_breaks_amid_a_recording_is_its_fault():
    broken = 1 - 0.005 * np.random.default_rng(0).random(5 * 16000, np.float32)
    samples = np.concatenate([says("E" + "cab " * 20), broken])
    transcript = streamed(transcriber(), samples)[-1].transcript
    assert (transcript.text, transcript.fault) == ("", "the model gives NaN for it")


def test_chunks_beyond_the_memory_are_a_fault_and_no_crash():
    class Small(ToneRecogniser):
        def emission(self, speech):
            raise OutOfMemory("bad_alloc")

    transcript = streamed(transcriber(recogniser=Small()), says("E" + "cab " * 40))[-1].transcript
    assert transcript.fault == "too long for the memory (chunks of 2 s)"


def test_whoever_stops_frees_the_source():
    closed = []

    def blocks():
        try:
            while True:
                yield says("cab bed ")
        finally:
            closed.append(True)

    steps = stream(transcriber(), one_region(blocks()), "talk")
    assert next(steps).transcript is None
    steps.close()
    del steps
    assert closed


@pytest.mark.parametrize("symbol", range(len(TOKENS)))
def test_frames_that_never_end_a_word_are_cut_all_the_same(symbol):
    """A symbol that goes on over a cut is said once, and memory stays bounded."""
    work = Stretches(TOKENS, "char", 0, 0.04)
    frames = np.log(np.eye(len(TOKENS), dtype=np.float32)[[symbol] * 250] * 0.9 + 0.01)
    found = [stretch for _ in range(40) for stretch in work.add(frames)]
    found += list(work.end())
    assert sum(len(stretch.log_probs) for stretch in found) == 40 * 250
    assert max(len(stretch.log_probs) for stretch in found) <= 1750
    said = np.concatenate([stretch.log_probs.argmax(axis=1) for stretch in found])
    assert not symbol or ((said[1:] != said[:-1]) & (said[1:] == symbol)).sum() == 0


def test_pieces_of_a_language_without_spaces_are_joined_without_any():
    tokens = ("_", *"日本語話")
    work, rng = Stretches(tokens, "char", 0, 0.04), np.random.default_rng(0)
    ids = np.repeat(rng.integers(1, 5, 700), 3) * np.tile([1, 0, 0], 700)
    frames = np.log(np.eye(5, dtype=np.float32)[ids] * 0.9 + 0.01)
    found = [*work.add(frames), *work.end()]
    assert len(found) > 2 and all(stretch.amid_word for stretch in found)
