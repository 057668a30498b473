"""Stage 12 with --forced_too: what was taken for another language is decoded with its own too."""

import logging
import shutil

import pytest
import torch

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin import decode
from asr_dro_plugin.decoding.parts import language_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.model_files import read_experiment_config
from asr_dro_plugin.text.normalizers import split_tag
from tests.espnet import decoding


@pytest.fixture(scope="module")
def talkative(trained, tmp_path_factory):
    """A model that takes every utterance for one language: one epoch teaches little but blanks."""
    exp = tmp_path_factory.mktemp("talkative") / "exp"
    shutil.copytree(trained, exp, symlinks=True)
    tokens = read_experiment_config(exp)["token_list"]
    state = torch.load(exp / "1epoch.pth", weights_only=True)
    state["ctc.ctc_lo.bias"][tokens.index("<blank>")] -= 2
    state["ctc.ctc_lo.bias"][tokens.index("[deu]")] += 4
    torch.save(state, exp / "1epoch.pth")
    return exp


@pytest.fixture(scope="module")
def data(dump, tmp_path_factory):
    """The test set, whose utterances are of two languages."""
    folder = tmp_path_factory.mktemp("said") / "data"
    shutil.copytree(dump / "test", folder)
    write_table(folder / "utt2lang", read_table(language_table(folder)))
    return folder


def decoded(exp, data, out, *more):
    words = [*decoding.words(exp, data, out), *more]
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    return words


@pytest.fixture(scope="module")
def out(talkative, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("told") / "out"
    decoded(talkative, data, folder, "--forced_too", "true")
    return folder


def test_the_text_of_who_was_named_rightly_stays_and_the_others_are_told(
    talkative, data, out, tmp_path
):
    free, told = read_table(out / "text"), read_table(out / "forced_too/text")
    decoded(talkative, data, tmp_path / "forced", "--lang", "forced")
    forced, langs = read_table(tmp_path / "forced/text"), read_table(data / "utt2lang")
    right = {utt_id for utt_id in langs if split_tag(free[utt_id])[0] == langs[utt_id]}
    assert 0 < len(right) < len(langs)
    assert told == {u: free[u] if u in right else forced[u] for u in langs}
    assert all(split_tag(text)[0] == langs[utt_id] for utt_id, text in told.items())


def test_the_free_text_is_what_it_is_without(talkative, data, out, tmp_path):
    decoded(talkative, data, tmp_path / "alone")
    assert (tmp_path / "alone/text").read_bytes() == (out / "text").read_bytes()
    assert not (tmp_path / "alone/forced_too").exists()


def test_a_kill_between_the_two_goes_on_with_the_second(
    talkative, data, out, tmp_path, monkeypatch
):
    from asr_dro_plugin.transcribing.transcriber import Transcriber

    words = decoding.words(talkative, data, tmp_path / "out")
    decode.main(words)
    real, seen = Transcriber.__call__, []

    def transcribe(transcriber, batch):
        seen.extend(utterance.utt_id for utterance in batch)
        return real(transcriber, batch)

    monkeypatch.setattr(Transcriber, "__call__", transcribe)
    words = [*words, "--forced_too", "true"]
    decode.main(words)
    free, langs = read_table(out / "text"), read_table(data / "utt2lang")
    assert set(seen) == {u for u in langs if split_tag(free[u])[0] != langs[u]}
    seen.clear()
    decode.main(words)
    assert not seen
    decode.main([*words, "--merge", "true"])
    assert (tmp_path / "out/forced_too/text").read_bytes() == (out / "forced_too/text").read_bytes()


def test_who_is_of_a_language_that_the_model_cannot_be_told_or_of_none_has_no_such_text(
    talkative, data, out, tmp_path
):
    other = tmp_path / "data"
    shutil.copytree(data, other)
    first, second, *_ = langs = read_table(data / "utt2lang")
    langs = {utt_id: lang for utt_id, lang in langs.items() if utt_id != second}
    write_table(other / "utt2lang", langs | {first: "xyz"})
    decoded(talkative, other, tmp_path / "out", "--forced_too", "true")
    told = read_table(out / "forced_too/text")
    del told[first], told[second]
    assert read_table(tmp_path / "out/forced_too/text") == told


def test_without_a_free_choice_nothing_is_decoded_again(talkative, data, tmp_path, caplog):
    folder = tmp_path / "out"
    (folder / "forced_too").mkdir(parents=True)
    (folder / "forced_too/text").write_text("of an earlier decoding\n")
    with caplog.at_level(logging.INFO):
        more = ["--forced_too", "true", "--lang", "eng"]
        with pytest.raises(UserError, match="forced_too/text"):
            decoded(talkative, data, folder, *more)
        decoded(talkative, data, folder, *more, "--overwrite", "true")
    assert "Nothing is decoded again" in caplog.text
    assert not (folder / "forced_too/text").exists()
    assert set(read_table(folder / "text")) == set(read_table(data / "utt2lang"))
