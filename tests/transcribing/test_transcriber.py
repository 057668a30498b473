"""Named speech becomes transcripts: texts, times, faults, and long audio in chunks."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from asr_dro_plugin.audio.read_ahead import Location, SpeechItem, load
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.decoding.greedy import best_paths, greedy, tokens_to_text
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcribing.abs_recogniser import OutOfMemory
from asr_dro_plugin.transcripts.transcript import from_json, to_json

MODEL = "valid.cer_ctc.ave.pth"


@pytest.fixture(scope="module")
def talkative(task, trained):
    """A recogniser that says much: one epoch teaches little more than blanks."""
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    recogniser = load_recogniser(trained, MODEL)
    with torch.no_grad():
        recogniser.model.ctc.ctc_lo.bias[0] -= 2
    return recogniser


@pytest.fixture(scope="module")
def speech(dump):
    scp = read_table(dump / "test" / "wav.scp")
    return [load(Location(utt_id, path)) for utt_id, path in scp.items()][:5]


@pytest.fixture(scope="module")
def long_one(speech):
    return SpeechItem("long", np.concatenate([each.samples for each in speech]))


class Heard:
    """A decoder that keeps the emissions it is given."""

    def __init__(self):
        self.emissions, self.langs = [], []

    def __call__(self, emission, langs=None):
        self.emissions.append(emission)
        self.langs.append(langs)
        return best_paths(emission)


def transcriber(recogniser, decoder=None, lang=None, **settings):
    from asr_dro_plugin.transcribing.transcriber import Transcriber, TranscriberSettings

    return Transcriber(recogniser, decoder or Heard(), TranscriberSettings(**settings), lang)


def test_texts_are_the_collapsed_argmax_of_espnets_own_ctc(talkative, speech):
    model = talkative.model
    transcripts = transcriber(talkative)(speech)
    for utterance, transcript in zip(speech, transcripts, strict=True):
        samples = torch.from_numpy(utterance.samples)[None]
        with torch.no_grad():
            encoded, _ = model.encode(samples, torch.tensor([samples.shape[1]]))
            path = model.ctc.argmax(encoded)[0].tolist()
        ids = [token for token, _ in itertools.groupby(path) if token != model.blank_id]
        assert transcript.text == tokens_to_text(ids, talkative.tokens, "char") != ""
        assert (transcript.utt_id, transcript.fault) == (utterance.utt_id, "")
        assert transcript.duration == pytest.approx(utterance.duration)


def test_words_have_times_of_the_original_audio_and_spell_the_text(talkative, speech):
    moved = [dataclasses.replace(each, offset=10.0) for each in speech]
    for transcript in transcriber(talkative, times=True)(moved):
        words = transcript.best.words
        assert [word.text for word in words] == split_tag(transcript.text)[1].split()
        assert words and words[0].start >= 10.0
        assert words[-1].end <= 10.0 + transcript.duration + 1e-4
        assert "".join(char.text for char in transcript.best.chars) == "".join(
            word.text for word in words
        )
        assert from_json(to_json(transcript)) == transcript


def test_an_utterance_with_a_fault_spoils_no_other(talkative, speech):
    broken = [
        SpeechItem("gone", fault="cannot be read"),
        SpeechItem("short", np.ones(100, np.float32)),
        SpeechItem("loud", np.resize(np.float32([1e38, -1e38]), 16000)),
    ]
    mixed = [broken[0], speech[0], broken[1], speech[1], broken[2]]
    transcripts = transcriber(talkative, times=True)(mixed)
    assert [each.utt_id for each in transcripts] == [each.utt_id for each in mixed]
    assert [each.fault for each in transcripts] == [
        "cannot be read", "", "too short for the model (0.006 s)", "",
        "the model gives NaN for it",
    ]  # fmt: skip
    alone = transcriber(talkative, times=True)(speech[:2])
    assert [transcripts[1].text, transcripts[3].text] == [each.text for each in alone]
    assert transcriber(talkative)([]) == []


def test_a_model_whose_parameters_are_no_numbers_is_refused(trained, tmp_path):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    state = torch.load(trained / MODEL, weights_only=True)
    state["ctc.ctc_lo.bias"][0] = float("nan")
    (tmp_path / "config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    torch.save(state, tmp_path / "diverged.pth")
    with pytest.raises(UserError, match=r"diverged.pth holds NaN in ctc.ctc_lo.bias"):
        load_recogniser(tmp_path, "diverged.pth")


def test_long_audio_goes_in_chunks_and_is_decoded_once(talkative, speech, long_one):
    heard = Heard()
    work = transcriber(talkative, heard, chunk_length=1.0, batch_duration=2.5, times=True)
    transcripts = work([speech[0], long_one])
    assert [each.utt_id for each in transcripts] == [speech[0].utt_id, "long"]
    (whole,) = [each for each in heard.emissions if each.lengths[0] > 100]
    assert whole.lengths.tolist() == [talkative.frames.num_frames(len(long_one.samples))]
    ends = [word.end for word in transcripts[1].best.words]
    assert ends == sorted(ends) and ends[-1] > 0.8 * long_one.duration


def test_a_chunk_says_what_it_says_alone(talkative, long_one):
    heard = Heard()
    transcriber(talkative, heard, chunk_length=1.0, stride=(0.2, 0.2))([long_one])
    second = long_one.samples[int(0.6 * 16000) : int(1.6 * 16000)]
    alone = talkative.emission([second]).log_probs[0]
    kept = heard.emissions[0].log_probs[0, 20:35]  # 0.8 s to 1.4 s, frames of 40 ms
    assert np.allclose(kept, alone[5:20], atol=1e-5)


def test_a_last_chunk_without_a_frame_is_no_crash(talkative, long_one):
    samples = long_one.samples[: 3 * 16000 + 5]
    cut = transcriber(talkative, chunk_length=1.0, stride=(0.0, 0.0))([SpeechItem("u", samples)])
    assert cut[0].fault == "" and cut[0].duration > 3


def test_what_is_no_longer_than_a_chunk_is_decoded_as_it_is(talkative, speech):
    length = max(each.duration for each in speech)
    assert transcriber(talkative, chunk_length=length)(speech) == transcriber(talkative)(speech)


def test_chunks_need_a_stack_whose_frames_are_known(talkative):
    unknown = dataclasses.replace(talkative.frames, exact=False)
    with pytest.raises(UserError, match="chunk_length needs a stack whose frames are known"):
        transcriber(dataclasses.replace(talkative, frames=unknown), chunk_length=5.0)


def test_a_forced_language_reaches_the_decoder_and_the_transcript(talkative, speech):
    heard = Heard()
    own = [dataclasses.replace(speech[0], lang="eng"), speech[1]]
    transcripts = transcriber(talkative, heard, lang="deu")(own)
    assert heard.langs == [["eng", "deu"]]
    for transcript, lang in zip(transcripts, ("eng", "deu"), strict=True):
        assert transcript.lang == (transcript.text[1:4] if transcript.text[0] == "[" else lang)


def test_a_batch_that_does_not_fit_is_decoded_in_halves(talkative, speech, monkeypatch):
    real, sizes = type(talkative).emission, []

    def emission(self, samples):
        sizes.append(len(samples))
        if len(samples) > 1 or len(samples[0]) == len(speech[2].samples):
            raise OutOfMemory("CUDA out of memory")
        return real(self, samples)

    monkeypatch.setattr(type(talkative), "emission", emission)
    transcripts = transcriber(talkative)(speech[:4])
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    assert transcripts[2].fault.startswith("too long for the memory")
    for utterance, transcript in zip(speech[:4], transcripts, strict=True):
        same = len(utterance.samples) == len(speech[2].samples)
        assert (transcript.utt_id, bool(transcript.fault)) == (utterance.utt_id, same)


def test_espnets_own_search_gives_scores_nbest_and_times(trained, speech):
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

    config = {"mode": "espnet", "beam_size": 4, "ctc_weight": 1.0, "nbest": 3, "times": True,
              "batch_duration": 9.0}  # fmt: skip
    work = load_transcriber(trained, MODEL, "cpu", config)
    with torch.no_grad():
        work.recogniser.model.ctc.ctc_lo.bias[0] -= 2
    for utterance, transcript in zip(speech[:2], work(speech[:2]), strict=True):
        expected = work.speech2text(utterance.samples)
        assert [each.text for each in transcript.hypotheses] == [each[0] for each in expected]
        scores = [each.score for each in transcript.hypotheses]
        assert len(scores) == 3 and scores == sorted(scores, reverse=True)
        assert transcript.best.words and transcript.best.words[-1].end < utterance.duration + 1e-4


@pytest.mark.parametrize("lang", ["deu", "eng"])
def test_the_configuration_decides_the_decoder(trained, speech, lang):
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

    config = read_decode_config({"mode": "greedy", "lang": lang})
    transcripts = load_transcriber(trained, MODEL, "cpu", config)(speech)
    assert {each.lang for each in transcripts} == {lang}
    assert all(each.text.startswith(f"[{lang}]") for each in transcripts)


def test_the_greedy_decoder_is_the_greedy_function(talkative, speech):
    emission = talkative.emission([each.samples for each in speech])
    assert [list(paths[0].ids) for paths in best_paths(emission)] == greedy(emission)
