"""Pauses of exact zeros made of the same speech another text, in another language.

Each utterance is normalised before the model, over frames without any signal too: these lie far
below all that it was trained on.  Now the length of such pauses changes nothing.
"""

import dataclasses
import difflib

import numpy as np
import pytest
import torch

from asr_dro_plugin.audio.read_ahead import Location, SpeechItem, load
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.options import read_decode_config
from tests.sounds import encode

MODEL = "valid.cer_ctc.ave.pth"


@pytest.fixture(scope="module")
def recogniser(task, trained):
    """A model that says much: one epoch teaches little more than blanks."""
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    found = load_recogniser(trained, MODEL)
    with torch.no_grad():
        found.model.ctc.ctc_lo.bias[0] -= 2
    return found


@pytest.fixture(scope="module")
def speech(dump):
    scp = read_table(dump / "test" / "wav.scp")
    return [load(Location(utt_id, path)).samples for utt_id, path in scp.items()][:8]


def transcribed(recogniser, samples, **settings):
    from asr_dro_plugin.transcribing.transcriber import Transcriber, TranscriberSettings

    decoder = build_decoder(
        read_decode_config({"mode": "greedy"}), recogniser.tokens, "char", recogniser.model.blank_id
    )
    settings = TranscriberSettings(**{"chunk_length": 8.0, "times": True} | settings)
    work = Transcriber(recogniser, decoder, settings)
    return work([SpeechItem("u", np.asarray(samples, np.float32))])[0]


def with_pauses(speech, seconds, before=0.0):
    pause = np.zeros(round(seconds * 16000), np.float32)
    parts = [np.zeros(round(before * 16000), np.float32)]
    for each in speech:
        parts += [each, pause]
    return np.concatenate(parts)


@pytest.mark.parametrize("before", [0.0, 12.0])
def test_the_length_of_a_pause_changes_no_text_and_no_language(recogniser, speech, before):
    short = transcribed(recogniser, with_pauses(speech, 1.2))
    for seconds in (4.0, 20.0):
        long = transcribed(recogniser, with_pauses(speech, seconds, before))
        assert (long.text, long.lang) == (short.text, short.lang) and long.text


def test_times_are_those_of_the_recording(recogniser, speech):
    short = transcribed(recogniser, with_pauses(speech, 1.2)).best.words
    long = transcribed(recogniser, with_pauses(speech, 5.2, before=8.0)).best.words
    starts = np.cumsum([0, *(len(each) / 16000 + 1.2 for each in speech)])
    for one, other in zip(short, long, strict=True):
        number = int(np.searchsorted(starts, one.start + 1e-6)) - 1
        assert other.start == pytest.approx(one.start + 8.0 + 4.0 * number, abs=0.05)


def test_an_mp3_of_them_is_no_other(recogniser, speech, tmp_path):
    found = []
    for seconds in (1.2, 9.6):  # whole frames of MP3
        samples = with_pauses(speech[:4], seconds)
        path = encode(tmp_path / f"{seconds}.mp3", samples, 16000, "libmp3lame")
        found.append(transcribed(recogniser, load(Location("u", str(path))).samples))
    texts = [each.text for each in found]
    assert difflib.SequenceMatcher(None, *texts).ratio() > 0.8 and found[0].lang == found[1].lang


def test_a_short_recording_that_is_mostly_silent_is_no_other(recogniser, speech):
    found = {
        transcribed(recogniser, with_pauses(speech[:1], s, before=s), chunk_length=30.0).text
        for s in (1.2, 2.0, 6.0)
    }
    assert len(found) == 1 and found != {""}


def test_what_has_a_signal_throughout_is_decoded_as_before(recogniser, speech):
    """No number of an ordinary recording changes."""
    samples = np.concatenate(speech)
    first = transcribed(recogniser, samples, chunk_length=99.0)
    assert first == transcribed(recogniser, samples, chunk_length=None)


def test_pauses_have_no_text_when_a_text_is_placed(recogniser, speech):
    from asr_dro_plugin.espnet.decode.alignment import Aligner

    samples = with_pauses(speech * 2, 4.0)
    emission = Aligner(recogniser, None).emission(samples)
    start = len(speech[0]) / 16000
    frames = slice(round((start + 0.2) / 0.04), round((start + 3.8) / 0.04))
    assert (emission.log_probs[0, frames, 0] == 0).all()
    assert abs(emission.log_probs.shape[1] * 0.04 - len(samples) / 16000) < 0.2


def test_the_pieces_of_a_recording_decide_its_language_together():
    tokens = ["<blank>", "[deu]", "[eng]", "a"]
    choice = LanguageChoice("free", tokens, 0)

    def piece(deu, eng, length=10):
        probs = np.full((length, 4), 1e-4)
        probs[:, 0] = 0.9
        probs[0] = [1e-4, deu, eng, 1e-4]
        return np.log(probs / probs.sum(1, keepdims=True))

    sure, unsure = piece(0.97, 0.03), piece(0.4, 0.6)
    assert choice.decide_over([piece(1e-9, 1 - 1e-9), sure, sure, sure]) == "deu"
    assert choice.decide_over([sure, unsure, unsure]) == "deu"
    assert choice.decide_over([piece(0.9, 0.1, 3), piece(0.1, 0.9, 30)]) == "eng"
    assert choice.decide_over([np.zeros((0, 4))]) is None
    assert dataclasses.replace(choice, rule="forced").decide_over([sure]) is None
    assert dataclasses.replace(choice, rule="eng").decide_over([sure]) is None
    assert dataclasses.replace(choice, rule="eng deu").decide_over([sure]) == "deu"
    assert LanguageChoice("free", ["<blank>", "a"], 0).decide_over([sure[:, :2]]) is None
