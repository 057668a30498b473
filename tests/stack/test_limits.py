"""What an utterance may hold, and that stage 10 leaves out what does not fit."""

import pytest

from asr_dro_plugin.bin import make_tokens, preflight
from asr_dro_plugin.stack import limits as stack_limits
from asr_dro_plugin.stack.limits import Limits, limits_of

pytest_plugins = ["tests.fixtures_whisper"]
WHISPER = {"encoder": "hf_whisper", "decoder": "hf_whisper", "model_conf": {"ctc_weight": 0.0}}


def test_whispers_limits_are_those_of_its_config(tiny_whisper):
    config = {**WHISPER, "ssl_checkpoint": str(tiny_whisper)}
    assert limits_of(config) == Limits(False, 2.0, 37, "Whisper")
    assert limits_of(WHISPER) == Limits(False, 30.0, 445, "Whisper")
    one = {**WHISPER, "model_conf": {"ctc_weight": 0.0, "text_prompt": ["<|notimestamps|>"]}}
    assert limits_of(one).max_labels == 446


@pytest.mark.parametrize("do_pad_trim", [False, True])
def test_a_whisper_in_front_has_them_too(tiny_whisper, do_pad_trim):
    stack = {"frontend": "hf_whisper", "encoder": "identity", "model_conf": {"ctc_weight": 1.0}}
    config = {**stack, "frontend_conf": {"do_pad_trim": do_pad_trim}}
    assert limits_of({**config, "ssl_checkpoint": str(tiny_whisper)}).max_seconds == 2.0
    assert limits_of(config) == Limits(True, 30.0, None, "Whisper")


@pytest.mark.parametrize(
    "limits, given, reason",
    [
        (Limits(), (16000, 5, 4, 1), None),
        (Limits(), (16000, 4, 4, 1), stack_limits.TOO_FEW_FRAMES),
        (Limits(), (16000, 0, 0, 0), stack_limits.TOO_FEW_FRAMES),
        (Limits(False), (16000, 1, 9, 1), None),
        (Limits(False), (16000, 0, 9, 1), stack_limits.NO_FRAME),
        (Limits(False, 1.0, 9), (16000, 1, 9, 1), None),
        (Limits(False, 1.0, 9), (16001, 1, 9, 1), stack_limits.TOO_LONG),
        (Limits(False, 1.0, 9), (16000, 1, 10, 1), stack_limits.TOO_MANY_LABELS),
    ],
)
def test_an_utterance_fits_or_is_told_why_not(limits, given, reason):
    reasons = [found for found, _ in limits.faults(*given)]
    assert reasons == ([reason] if reason else [])


def test_every_reason_is_told():
    reasons = [found for found, _ in Limits(True, 1.0, 9).faults(16001, 1, 10, 0)]
    assert reasons == [
        stack_limits.TOO_FEW_FRAMES, stack_limits.TOO_LONG, stack_limits.TOO_MANY_LABELS,
    ]  # fmt: skip


def write(folder, texts, seconds):
    folder.mkdir()
    rows = {
        "text": texts,
        "utt2num_samples": {u: str(int(16000 * seconds[u])) for u in texts},
        "utt2lang": {u: u[:3] for u in texts},
        "utt2category": {u: u[:3] for u in texts},
    }
    for name, table in rows.items():
        (folder / name).write_text("".join(f"{u} {value}\n" for u, value in table.items()))


@pytest.fixture
def command(tiny_whisper, tmp_path):
    """Function of --max_drop that runs stages 5 and 10 for Whisper."""
    texts = {"deu_a": "[deu] guten tag", "deu_b": "[deu] " + "xy" * 30, "eng_a": "[eng] the cat"}
    write(tmp_path / "train", texts, {"deu_a": 1.9, "deu_b": 1.0, "eng_a": 2.1})
    write(tmp_path / "dev", {"deu_a": "[deu] tag", "eng_a": "[eng] a"}, {"deu_a": 1, "eng_a": 1})
    config = tmp_path / "x.yaml"
    config.write_text(
        "encoder: hf_whisper\ndecoder: hf_whisper\npreprocessor: whisper\n"
        "frontend: none\nnormalize: none\n"
        f"model_conf: {{ctc_weight: 0.0}}\nssl_checkpoint: {tiny_whisper}\n"
    )
    tokens = ["--text", str(tmp_path / "train" / "text"), "--token_type", "hugging_face"]
    make_tokens.main([*tokens, "--out_dir", str(tmp_path / "t"), "--config", str(config)])
    words = ["--train_dir", str(tmp_path / "train"), "--valid_dir", str(tmp_path / "dev")]
    words += ["--tokens", str(tmp_path / "t" / "tokens.txt"), "--token_type", "hugging_face"]
    words += ["--bpemodel", str(tmp_path / "t" / "tokenizer.json"), "--config", str(config)]
    words += ["--out_dir", str(tmp_path / "stats"), "--write_shapes", "true"]
    return lambda max_drop: preflight.main([*words, "--max_drop", str(max_drop)])


def test_too_many_that_whisper_cannot_take_are_an_error_with_a_remedy(command, capsys):
    assert command(0.05) == 1
    assert "asr-dro segment" in capsys.readouterr().err


def test_what_is_left_out_is_listed(command, tmp_path):
    command(1.0)
    listed = (tmp_path / "stats" / "train" / "dropped.tsv").read_text()
    assert f"deu_b\tdeu\t{stack_limits.TOO_MANY_LABELS}" in listed
    assert f"eng_a\teng\t{stack_limits.TOO_LONG}\t2.1 s, at most 2" in listed
