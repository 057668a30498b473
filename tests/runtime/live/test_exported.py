"""Exported models live: exact where the stack is, else the file's text where a window holds it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.bin.serving import live
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.runtime import Recogniser
from asr_dro_plugin.runtime.live.frames import ExactFrames
from asr_dro_plugin.runtime.live.model import LiveModel
from asr_dro_plugin.runtime.live.session import LiveSession, TurnEnds
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcripts.transcript import Unit
from tests.export.onnx.exps import speech, write_exp
from tests.runtime.conftest import KEYS
from tests.runtime.live.tones import pcm, pieces_of

MANUAL = TurnEnds(silence=None, longest=3)
SECONDS = 8
LENGTHS = st.lists(st.integers(1, 40_000), min_size=1, max_size=5).filter(lambda x: sum(x) > 900)


@pytest.fixture(scope="module")
def streaming(tmp_path_factory) -> Recogniser:
    """A stack as ``train_asr_ctc_dro_mini_live.yaml`` has it, small."""
    from asr_dro_plugin.export.onnx.folder import export_onnx

    folder = tmp_path_factory.mktemp("live")
    statistics = folder / "stats.npz"
    mean, variance = -3.0, 0.1  # with which this network says much
    square = np.full(20, 100 * (variance + mean**2))
    np.savez(statistics, count=100, sum=np.full(20, 100 * mean), sum_square=square)
    keys = {"normalize": "global_mvn", "normalize_conf": {"stats_file": str(statistics)},
            "encoder_conf": {**KEYS["encoder_conf"], "gates": False}}  # fmt: skip
    export_onnx(write_exp(folder / "exp", {**KEYS, **keys}, seed=1), folder / "exported")
    return Recogniser(folder / "exported")


def sound() -> tuple[bytes, np.ndarray]:
    data = pcm(speech(16000 * SECONDS + 77))
    return data, np.frombuffer(data, "<i2").astype(np.float32) / 32768


def said(recogniser: Recogniser, samples: np.ndarray) -> list[Unit]:
    """Words of the file; an untrained model says languages amid speech."""
    words = recogniser.transcribe(samples).best.words
    return [word for word in words if not split_tag(word.text)[0]]


@given(lengths=LENGTHS)
@settings(max_examples=15, deadline=None)
def test_an_exact_stack_says_what_it_says_of_the_file(streaming, lengths):
    data, samples = sound()
    session = LiveSession.of(streaming, turns=MANUAL)
    assert session.is_exact and session.latency < 1
    events = [event for piece in pieces_of(data, lengths) for event in session.feed(piece)]
    *_, final = [*events, *session.commit()]
    words = said(streaming, samples)
    assert len(words) > 5
    for ours, theirs in zip(final.words, words, strict=True):
        assert (ours.text, ours.start, ours.end) == (theirs.text, theirs.start, theirs.end)


def test_its_log_probabilities_are_those_of_the_file(streaming):
    _, samples = sound()
    field = streaming.manifest.receptive_field_samples
    model = LiveModel.of(streaming.model, field, streaming.decoder)
    frames = ExactFrames(model.stack, 0.3)
    for _ in frames.feed(samples):
        pass
    frames.finish()
    np.testing.assert_allclose(frames.log_probs, model.stack(samples), atol=1e-5)


@pytest.mark.parametrize("decode", [{"mode": "greedy"}, {"mode": "beam", "beam_size": 4}])
def test_a_stack_with_statistics_says_the_files_text_where_it_fits_a_window(exported, decode):
    recogniser, (data, samples) = Recogniser(exported, decode), sound()
    session = LiveSession.of(recogniser, turns=TurnEnds(silence=None))
    assert not session.is_exact
    *_, final = [*session.feed(data), *session.commit()]
    words = [word.text for word in said(recogniser, samples)]
    assert [word.text for word in final.words] == words != []


def test_a_language_is_forced_chosen_or_unknown(streaming):
    data, _ = sound()
    for language in ("deu", ["deu", "eng"]):
        session = LiveSession.of(streaming, language)
        *_, final = [*session.feed(data), *session.commit()]
        assert final.lang in language
    with pytest.raises(UserError, match="'xyz'"):
        LiveSession.of(streaming, "xyz")


def test_a_precision_whose_scales_are_found_at_work_is_heard_in_windows(streaming, monkeypatch):
    assert LiveSession.of(streaming).is_exact
    monkeypatch.setattr(type(streaming.model), "depends_on_company", True)
    assert not LiveSession.of(streaming).is_exact


def test_the_command_hears_standard_input(exported, tmp_path, monkeypatch, capsys):
    (tmp_path / "sound").write_bytes(sound()[0])
    with (tmp_path / "sound").open() as source:
        monkeypatch.setattr("sys.stdin", source)
        assert live.main([str(exported), "--lang", "deu eng"]) == 0
    said, told = capsys.readouterr()
    assert said.strip() and "by windows" in told
