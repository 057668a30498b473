"""A decoding that was killed has lost nothing, and never takes over what another model made."""

import logging
import shutil

import pytest
import yaml

from asr_dro_plugin.bin import decode, score
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.partial import read_so_far
from tests.espnet import decoding


@pytest.fixture
def decoded(monkeypatch):
    """Utterances that this process decodes, batch by batch."""
    from asr_dro_plugin.transcribing.transcriber import Transcriber

    real, seen = Transcriber.__call__, []

    def transcribe(transcriber, batch):
        seen.append([utterance.utt_id for utterance in batch])
        return real(transcriber, batch)

    monkeypatch.setattr(Transcriber, "__call__", transcribe)
    return seen


@pytest.fixture(scope="module")
def straight(trained, dump, tmp_path_factory):
    """The hypotheses of a decoding that nobody killed."""
    out = tmp_path_factory.mktemp("straight") / "out"
    words = decoding.words(trained, dump / "test", out)
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    assert not list((out / "parts").iterdir())
    return out / "text"


def test_kill_9_loses_no_batch_and_the_same_command_goes_on(
    trained, dump, straight, tmp_path, decoded, capsys, caplog
):
    words = decoding.words(trained, dump / "test", tmp_path / "out")
    decoding.killed_after(3, words)
    growing = tmp_path / "out/parts/hyp.1of1.jsonl.partial"
    there = read_so_far(growing.parent)
    assert 3 <= len(there) < 16 and not (tmp_path / "out/text").exists()

    langs = tmp_path / "utt2lang"
    langs.write_text((dump / "test/utt2category").read_text())
    partial = ["--ref", str(dump / "test/text"), "--hyp", str(tmp_path / "out/text")]
    assert score.main([*partial, "--utt2lang", str(langs), "--partial"]) == 0
    assert capsys.readouterr().out.startswith(f"Partial: {len(there)} of 16 utterances")

    with growing.open("a") as stream:
        stream.write('{"utt_id": "engspktest-0')  # what a kill within a line leaves
    with caplog.at_level(logging.INFO):
        decode.main(words)
    assert f"goes on after {len(there)} of 16" in caplog.text
    assert not set(there) & {utt_id for batch in decoded for utt_id in batch}
    decode.main([*words, "--merge", "true"])
    assert (tmp_path / "out/text").read_bytes() == straight.read_bytes()


def test_a_batch_that_is_half_there_is_decoded_in_the_same_company(
    trained, dump, straight, tmp_path, decoded
):
    words = decoding.words(trained, dump / "test", tmp_path / "out", seconds=6.0)
    decode.main(words)
    whole = tmp_path / "out/parts/hyp.1of1.jsonl"
    batches = list(decoded)
    lines = whole.read_text().splitlines(keepends=True)
    assert len(batches[0]) > 1
    whole.with_name("hyp.1of1.jsonl.partial").write_text("".join(lines[: len(batches[0]) + 1]))
    whole.unlink()
    decoded.clear()
    decode.main(words)
    assert decoded == batches[1:]
    assert whole.read_text().splitlines(keepends=True) == lines


def test_a_part_that_is_whole_is_not_decoded_again(trained, dump, tmp_path, decoded):
    words = [*decoding.words(trained, dump / "test", tmp_path / "out"), "--num_parts", "2"]
    decode.main(words)
    assert decoded
    decoded.clear()
    decode.main(words)
    assert decoded == []


def changed_model(exp, data, words):
    import torch

    state = torch.load(exp / "1epoch.pth", weights_only=True)
    state["ctc.ctc_lo.bias"] += 1
    torch.save(state, exp / "1epoch.pth")


def changed_training_config(exp, data, words):
    config = yaml.safe_load((exp / "config.yaml").read_text())
    (exp / "config.yaml").write_text(yaml.safe_dump(config | {"seed": 77}))


def changed_decoding_config(exp, data, words):
    with open(words[words.index("--config") + 1], "a") as stream:
        stream.write("times: true\n")


def changed_option(exp, data, words):
    words += ["--chunk_length", "20"]


def asked_for_subtitles(exp, data, words):
    words += ["--formats", "text srt"]


def changed_data(exp, data, words):
    lines = (data / "utt2num_samples").read_text().splitlines()[1:]
    (data / "utt2num_samples").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (changed_model, "model"),
        (changed_training_config, "training configuration"),
        (changed_decoding_config, "decoding configuration"),
        (changed_option, "decoding configuration"),
        (asked_for_subtitles, "decoding configuration"),
        (changed_data, "utt2num_samples"),
    ],
)
def test_what_another_model_or_config_or_data_made_is_not_gone_on_with(
    trained, dump, tmp_path, decoded, caplog, change, name
):
    exp, data = tmp_path / "exp", tmp_path / "data"
    shutil.copytree(trained, exp, symlinks=True)
    shutil.copytree(dump / "test", data)
    words = [*decoding.words(exp, data, tmp_path / "out"), "--model_file", "1epoch.pth"]
    words += ["--num_parts", "2"]
    for part in ("1", "2"):
        decode.main([*words, "--part", part])
    change(exp, data, words)
    decoded.clear()
    decode.main(words)
    assert f"begun anew, for another {name}." in caplog.text
    assert sum(map(len, decoded)) == 8
    with pytest.raises(UserError, match="hyp.2of2.jsonl was made by another model"):
        decode.main([*words, "--merge", "true"])
