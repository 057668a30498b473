"""Whisper end to end: built, trained, decoded, rebuilt; on the same weights transformers' equal."""

import argparse
import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.bin import decode, make_tokens, transcribe
from asr_dro_plugin.decoding.runaway import WritingLimits
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import ENDED_EARLY
from asr_dro_plugin.pretrained.hf_folders import read_weights
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.text.tokens import build_tokenizer, read_tokens, token_ids
from asr_dro_plugin.text.whisper_tokens import EOT, SOT
from asr_dro_plugin.transcripts.transcript import from_json
from tests.espnet.conftest import arguments

pytest_plugins = ["tests.fixtures_whisper"]
pytestmark = pytest.mark.usefixtures("one_thread")

TWIN = Path(__file__).resolve().parents[3] / "conf" / "train_asr_whisper_small_ce_tiny.yaml"
TAG = re.compile(r"\[[a-z]{3}\]")
NO_LIMITS = WritingLimits(None, end_repetition=False)  # random weights say the same again and again
GREEDY = TWIN.with_name("decode_asr_greedy.yaml")


@pytest.fixture(scope="module")
def tokens(dump, tiny_whisper, tmp_path_factory):
    """Stage 5's folder: the toy corpus has the languages deu and eng, which Whisper knows."""
    out = tmp_path_factory.mktemp("tokens")
    words = ["--text", str(dump / "train" / "text"), "--token_type", "hugging_face"]
    make_tokens.main([*words, "--out_dir", str(out), "--ssl_checkpoint", str(tiny_whisper)])
    return out


def words_of(dump, tokens, exp, checkpoint, config=TWIN):
    """Stage 11's command line."""
    words = arguments(dump, exp, config)
    words[words.index("--token_type") + 1] = "hugging_face"
    words[words.index("--token_list") + 1] = str(tokens / "tokens.txt")
    words += ["--bpemodel", str(tokens / "tokenizer.json"), "--use_tensorboard", "false"]
    return [*words, "--ssl_checkpoint", str(checkpoint), "--max_epoch", "1"]


@pytest.fixture(scope="module")
def build(task, tokens, tiny_whisper):
    """Function of changes to the twin that gives (arguments, model)."""

    def built(**changes):
        config = {**load_config(TWIN), "ssl_checkpoint": str(tiny_whisper), **changes}
        args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **config})
        args.token_list = changes.get("token_list", str(tokens / "tokens.txt"))
        args.token_type = "hugging_face"
        args.groups = ["deu", "eng"]
        for slot in ("frontend", "specaug", "normalize", "preencoder"):
            setattr(args, slot, None)
        from asr_dro_plugin.espnet.start.checks import model_conf_of

        args.model_conf = model_conf_of(args)
        return args, task.build_model(args)

    return built


PADDED = {"encoder_conf": {"do_pad_trim": True}}


@pytest.fixture(scope="module")
def padded(build):
    """A model that fills utterances up to the 2 s of the tiny Whisper."""
    return build(**PADDED)[1].eval()


@pytest.fixture(scope="module")
def theirs(tiny_whisper):
    from transformers import WhisperForConditionalGeneration

    return WhisperForConditionalGeneration.from_pretrained(tiny_whisper).eval()


@pytest.fixture(scope="module")
def batch(tokens):
    """Speech (B, N), its lengths, labels (B, U) and theirs, groups."""
    rng = np.random.default_rng(0)
    lengths = torch.tensor([24000, 30000, 16000])
    speech = torch.zeros(3, 30000)
    for row, length in zip(speech, lengths, strict=True):
        row[:length] = torch.from_numpy(0.1 * rng.standard_normal(length)).float()
    tokenizer = build_tokenizer("hugging_face", (), tokens / "tokenizer.json")
    to_ids = token_ids(tokenizer, read_tokens(tokens / "tokens.txt"))
    rows = [torch.tensor(to_ids(t)) for t in ("[deu] guten tag", "[eng] the cat", "[deu] x")]
    text = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
    num_labels = torch.tensor([len(row) for row in rows])
    return speech, lengths, text, num_labels, torch.tensor([0, 1, 0])


def features(speech, lengths):
    from transformers import WhisperFeatureExtractor

    rows = [row[:n].numpy() for row, n in zip(speech, lengths, strict=True)]
    extractor = WhisperFeatureExtractor(chunk_length=2)
    return extractor(rows, sampling_rate=16000, return_tensors="pt").input_features


@torch.no_grad()
def test_speech_to_logits_is_as_in_transformers(padded, theirs, batch):
    speech, lengths, text, num_labels, _ = batch
    hidden, frames = padded.encode(speech, lengths)
    inputs, input_lengths, _ = padded._decoder_labels(text, num_labels)
    logits, _ = padded.decoder(hidden, frames, inputs, input_lengths)
    expected = theirs(features(speech, lengths), decoder_input_ids=inputs)
    assert torch.allclose(hidden, expected.encoder_last_hidden_state, atol=1e-4)
    assert torch.allclose(logits, expected.logits, atol=1e-4)
    assert frames.tolist() == [100, 100, 100]  # 2 s, what the tiny one was made for


@torch.no_grad()
@pytest.mark.parametrize("code, iso", [("de", "deu"), ("fr", "fra")])
def test_greedy_decoding_is_generate_with_the_same_prompt(
    build, tiny_whisper, theirs, batch, code, iso
):
    told = json.loads((tiny_whisper / "generation_config.json").read_text())
    given = {key: told[key] for key in ("suppress_tokens", "begin_suppress_tokens")}
    model = build(**PADDED, decoder_conf=given)[1].eval()
    speech, lengths = batch[:2]
    expected = theirs.generate(
        features(speech, lengths), language=code, task="transcribe", num_beams=1, do_sample=False,
        max_new_tokens=20, return_timestamps=False,
    )  # fmt: skip
    tags = [token for token in model.token_list if TAG.fullmatch(token)]
    allowed = np.array([[tag == f"[{iso}]" for tag in tags]] * 3)
    found = model.greedy_ids(speech, lengths, allowed, 20, NO_LIMITS)
    eot, language = model.token_list.index(EOT), model.token_list.index(f"[{iso}]")
    for row, ids in zip(expected.tolist(), found, strict=True):
        assert ids[0] == language
        assert ids[1:] == [token for token in row if token != eot]
    assert len({tuple(ids) for ids in found}) == 3


def test_the_decoder_reads_the_prompt_and_no_loss_counts_it(padded, batch):
    names, text, num_labels = padded.token_list, batch[2], batch[3]
    inputs, lengths, target = padded._decoder_labels(text, num_labels)
    prompt = [SOT, "[deu]", "<|transcribe|>", "<|notimestamps|>"]
    assert [names[i] for i in inputs[0, :4]] == prompt
    assert [names[i] for i in inputs[0, 4 : lengths[0]]] == ["Ġg", "uten", "Ġt", "ag"]
    spoken = [names[i] if i >= 0 else None for i in target[0, : lengths[0]]]
    assert spoken == ["[deu]", None, None, "Ġg", "uten", "Ġt", "ag", EOT]
    assert lengths.tolist() == (num_labels + 3).tolist()


def test_the_loss_falls_in_three_steps(build, batch):
    _, model = build()
    speech, lengths, text, num_labels, groups = batch
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    losses = []
    for _ in range(4):
        loss, stats, _ = model(speech, lengths, text, num_labels, group_ids=groups)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(one > two for one, two in zip(losses, losses[1:], strict=False))
    assert stats["loss_ctc"] is None and 0 <= stats["acc"] <= 1


@torch.no_grad()
def test_the_loss_of_an_utterance_is_cross_entropy_over_its_labels(padded, batch):
    speech, lengths, text, num_labels, groups = batch
    parts = padded.utterance_losses(speech, lengths, text, num_labels, group_ids=groups)
    hidden, frames = padded.encode(speech, lengths)
    inputs, input_lengths, target = padded._decoder_labels(text, num_labels)
    logits, _ = padded.decoder(hidden, frames, inputs, input_lengths)
    for row in range(3):
        expected = torch.nn.functional.cross_entropy(
            logits[row], target[row], ignore_index=-1, reduction="sum"
        )
        assert torch.isclose(parts.losses_B[row], expected, rtol=1e-4)


@torch.no_grad()
def test_espnets_own_loss_is_the_mean_of_them(build, batch):
    speech, lengths, text, num_labels, groups = batch
    model = build(**PADDED, objective=None)[1].eval()
    loss, stats, _ = model(speech, lengths, text, num_labels)
    parts = model.utterance_losses(speech, lengths, text, num_labels, group_ids=groups)
    assert torch.isclose(loss, parts.losses_B.mean(), rtol=1e-5)
    assert stats["loss_att"] == stats["loss"]


@torch.no_grad()
def test_without_padding_to_30_s_an_utterance_does_not_depend_on_its_company(build, batch):
    model = build()[1].eval()
    speech, lengths, text, num_labels, groups = batch
    together = model.utterance_losses(speech, lengths, text, num_labels, group_ids=groups).losses_B
    found = model.greedy_ids(speech, lengths)
    for row in range(3):
        one = slice(row, row + 1)
        alone = model.utterance_losses(
            speech[one, : lengths[row]], lengths[one], text[one, : num_labels[row]],
            num_labels[one], group_ids=groups[one],
        )  # fmt: skip
        assert torch.isclose(alone.losses_B[0], together[row], rtol=1e-5)
        assert model.greedy_ids(speech[one, : lengths[row]], lengths[one])[0] == found[row]


def frozen(model, part):
    """Whether no parameter of a part learns; None where some do."""
    found = {p.requires_grad for n, p in model.named_parameters() if n.startswith(part)}
    return {(False,): True, (True,): False}.get(tuple(found))


def test_freezing_keeps_the_convolutions_or_the_encoder_still(build):
    _, model = build(freeze_cnn=True)
    assert frozen(model, "encoder.net.conv") is True and frozen(model, "encoder.net.l") is False
    _, model = build(freeze_param=["encoder"])
    assert frozen(model, "encoder.") is True and frozen(model, "decoder.") is False
    _, model = build(freeze_finetune_updates=2)
    for done, still in ((0, True), (1, True), (2, False)):
        model.freezing.at_update(done)
        assert frozen(model, "encoder.") is still and frozen(model, "decoder.") is False


def test_a_new_language_begins_as_the_mean_of_whispers(task, tiny_whisper, tokens, build):
    names = [*read_tokens(tokens / "tokens.txt"), "[xty]"]
    table = read_weights(tiny_whisper)["model.decoder.embed_tokens.weight"]
    _, model = build()
    from asr_dro_plugin.espnet.parts.hf_whisper import with_new_rows

    rows = [number for number, name in enumerate(names[:-1]) if TAG.fullmatch(name)]
    longer = with_new_rows(table, len(names), tiny_whisper)
    assert torch.equal(longer[:-1], table) and len(longer) == len(names)
    assert torch.allclose(longer[-1], table[rows].mean(0), atol=1e-6)
    with pytest.raises(UserError, match="stage 5 and --token_type hugging_face"):
        with_new_rows(table, 10, tiny_whisper)


def test_the_lists_of_other_models_are_refused(build, dump, tokens, task):
    args, _ = build()
    args.token_list, args.ssl_checkpoint = str(dump / "tokens.txt"), None
    with pytest.raises(UserError, match="stage 5 with --token_type hugging_face"):
        task.build_model(args)


@pytest.fixture(scope="module")
def trained(task, dump, tokens, make_tiny_whisper, tmp_path_factory):
    """An experiment of one epoch whose pretrained folder and stage 5's are gone, with a log."""
    root = tmp_path_factory.mktemp("whisper_exp")
    checkpoint = make_tiny_whisper(hidden=16, seconds=2, max_tokens=40)
    copy = root / "tokens"
    shutil.copytree(tokens, copy)
    handler = logging.FileHandler(root / "log")
    logging.getLogger().addHandler(handler)
    task.main(cmd=words_of(dump, copy, root / "exp", checkpoint))
    logging.getLogger().removeHandler(handler)
    shutil.rmtree(checkpoint)
    shutil.rmtree(copy)
    return root / "exp"


def test_the_experiment_holds_its_tokenizer_and_all_that_rebuilds_it(trained, tokens):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["bpemodel"] == str(trained / "tokenizer.json")
    assert config["token_list"] == read_tokens(tokens / "tokens.txt")
    kept = build_tokenizer("hugging_face", (), trained / "tokenizer.json")
    given = build_tokenizer("hugging_face", (), tokens / "tokenizer.json")
    assert kept("[deu] guten tag") == given("[deu] guten tag")
    for slot in ("encoder", "decoder"):
        assert config[f"{slot}_conf"]["model_config"]["d_model"] == 16
    assert config["model_conf"]["text_prompt"] == ["<|transcribe|>", "<|notimestamps|>"]


def test_validation_scores_the_groups(trained):
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    valid = next(each for each in reversed(found) if "worst_group_cer" in str(each))
    assert "cer_deu" in str(valid) and "cer_eng" in str(valid)


def test_what_validation_ended_early_is_named_in_the_log(trained):
    said = (trained.parent / "log").read_text()
    line = re.findall(r"16 of 16 hypotheses were ended early.*", said)[-1]
    assert len(re.findall(r"(deu|eng)spkdev-\d+", line)) == 5


def test_a_continued_model_keeps_its_rows_and_learns_one_more_language(trained, build):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    names = [*config["token_list"], "[xty]"]
    _, model = build(token_list=names, init_exp=str(trained), extend_groups=True)
    source = next(iter(sorted(trained.glob("valid.*.ave.pth"))))
    state = torch.load(source, weights_only=True)
    table = model.decoder.net.embed_tokens.weight
    assert torch.equal(table[:-1], state["decoder.net.embed_tokens.weight"])
    assert torch.equal(model.encoder.net.conv1.weight, state["encoder.net.conv1.weight"])
    assert len(table) == len(names) and table[-1].abs().sum() > 0


def texts_of(folder):
    lines = (folder / "text").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) if " " in line else (line, "") for line in lines)


@pytest.mark.parametrize(
    "lang, expected",
    [("free", {"deu", "eng", "spa", "pol", "rus", "fra", "ces", "ita"}), ("forced", None),
     ("ita", {"ita"}), ("ces fra", {"ces", "fra"})],
)  # fmt: skip
def test_decode_writes_every_utterance_in_the_language_it_may(
    trained, dump, tmp_path, lang, expected
):
    words = ["--exp", str(trained), "--config", str(GREEDY), "--data_dir", str(dump / "test")]
    words += ["--out_dir", str(tmp_path), "--lang", lang]
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    found = texts_of(tmp_path)
    assert len(found) == 16
    for utt_id, text in found.items():
        allowed = expected or {utt_id[:3]}
        assert text[0] == "[" and text[1:4] in allowed and "<|" not in text


def test_scores_in_training_are_those_of_decoding_texts_without_end_too(
    trained, dump, tmp_path, caplog
):
    """After one epoch it babbles; both end that in the same place, and stage 12 says where."""
    words = ["--exp", str(trained), "--config", str(GREEDY), "--data_dir", str(dump / "dev")]
    words += ["--out_dir", str(tmp_path), "--model_file", "1epoch.pth"]
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    made = [from_json(line) for line in (tmp_path / "hyp.jsonl").read_text().splitlines()]
    early = {each.utt_id: each.ended_early for each in made if each.ended_early}
    assert early and dict(read_table(tmp_path / ENDED_EARLY)) == {"utt_id": "reason", **early}
    assert f"{len(early)} of 16 texts were ended early" in caplog.text
    assert all(f"{name} was ended early" in caplog.text for name in early)
    references, langs = (read_table(dump / "dev" / name) for name in ("text", "utt2category"))
    found = score(references, texts_of(tmp_path), langs, "none")
    told = (trained / "metrics.jsonl").read_text()
    for lang in ("deu", "eng"):
        (rate,) = re.findall(rf'"cer_{lang}": ([^,}}]+)', told)
        assert found.rate(lang, "cer") == pytest.approx(float(rate), rel=1e-4)


def test_a_language_that_the_model_does_not_know_is_an_error(trained, dump, tmp_path):
    words = ["--exp", str(trained), "--config", str(GREEDY), "--data_dir", str(dump / "test")]
    with pytest.raises(UserError, match="knows no language 'xty'"):
        decode.main([*words, "--out_dir", str(tmp_path), "--lang", "xty"])


@pytest.mark.parametrize("name", ["decode_asr_beam.yaml", "decode_asr_espnet_beam.yaml"])
def test_other_searches_are_refused(trained, dump, tmp_path, name):
    words = ["--exp", str(trained), "--config", str(GREEDY.with_name(name))]
    words += ["--data_dir", str(dump / "test"), "--out_dir", str(tmp_path)]
    with pytest.raises(UserError, match="Use conf/decode_asr_greedy.yaml"):
        decode.main(words)


def test_subtitles_of_a_model_that_gives_no_times_are_refused(trained, dump, tmp_path):
    words = ["--exp", str(trained), "--config", str(GREEDY), "--data_dir", str(dump / "test")]
    with pytest.raises(UserError, match="--formats srt needs times of words"):
        decode.main([*words, "--out_dir", str(tmp_path), "--formats", "text srt"])
    audio = str(next((dump / "test" / "audio").iterdir()))
    with pytest.raises(UserError, match="--format vtt needs times of words"):
        transcribe.main([audio, "--exp", str(trained), "--format", "vtt"])


def test_transcribe_joins_the_pieces_of_long_audio(trained, tmp_path, capsys):
    import soundfile

    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "long.wav", 0.1 * rng.standard_normal(5 * 16000), 16000)
    assert transcribe.main([str(tmp_path / "long.wav"), "--exp", str(trained)]) == 0
    text = capsys.readouterr().out.strip()
    assert TAG.match(text) and len(TAG.findall(text)) == 1 and len(text) > 10


def test_a_model_of_texts_without_tags_writes_none(trained, dump, tmp_path):
    shutil.copytree(trained, tmp_path / "exp")
    file = tmp_path / "exp" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["preprocessor_conf"] = {"whisper_language": "pol"}
    file.write_text(yaml.safe_dump(config))
    words = ["--exp", str(tmp_path / "exp"), "--config", str(GREEDY), "--out_dir", str(tmp_path)]
    words += ["--data_dir", str(dump / "test")]
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    assert not any(TAG.search(text) for text in texts_of(tmp_path).values())
    lines = (tmp_path / "hyp.jsonl").read_text().splitlines()
    assert {json.loads(line)["lang"] for line in lines} == {"pol"}


def test_the_preprocessor_gives_ids_and_refuses_what_the_list_lacks(tokens):
    from asr_dro_plugin.espnet.parts.whisper_preprocessor import WhisperPreprocessor

    names = read_tokens(tokens / "tokens.txt")
    preprocess = WhisperPreprocessor(
        False, "hugging_face", names, str(tokens / "tokenizer.json"), whisper_language="deu"
    )
    ids = preprocess("a", {"text": "guten tag", "speech": np.zeros(4, np.float32)})["text"]
    assert [names[i] for i in ids] == ["[deu]", "Ġg", "uten", "Ġt", "ag"]
    with pytest.raises(UserError, match=r"lacks \[xty\]"):
        preprocess("a", {"text": "[xty] a"})
    with pytest.raises(UserError, match="--bpemodel"):
        WhisperPreprocessor(False, "hugging_face", names)


@pytest.mark.parametrize(
    "changes, match",
    [
        ({"preprocessor": "default"}, "Set preprocessor: whisper"),
        ({"normalize": "utterance_mvn"}, "Legal: normalize: none"),
        ({"encoder": "hf_wav2vec2", "encoder_conf": {}}, "Set encoder: hf_whisper"),
        ({"token_type": "char"}, "--token_type hugging_face"),
        ({"frontend": "default"}, "Legal: frontend: none"),
        ({"model_conf": {"ctc_weight": 0.3}}, "have no blank for CTC"),
        ({"model_conf": {}}, "have no blank for CTC"),  # ESPnet's default is 0.5
        ({"decoder_conf": {"dropuot": 0.1}}, "'dropuot' is no argument"),
    ],
)
def test_what_does_not_go_with_whisper_is_refused_before_anything_is_built(
    tiny_whisper, changes, match
):
    from asr_dro_plugin.stack.check import check_config

    config = {**load_config(TWIN), "ssl_checkpoint": str(tiny_whisper)}
    check_config(config, "x.yaml")
    with pytest.raises(UserError, match=match):
        check_config({**config, **changes}, "x.yaml")


@torch.no_grad()
def test_an_imported_whisper_writes_what_generate_writes(theirs, tiny_whisper, batch, tmp_path):
    from transformers import WhisperTokenizer

    from asr_dro_plugin.audio.read_ahead import SpeechItem
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber
    from asr_dro_plugin.importing.sources import ImportOptions, import_model
    from asr_dro_plugin.text.whisper_languages import WHISPER_LANGUAGES

    import_model("hf", tiny_whisper, tmp_path / "exp", ImportOptions())
    config = read_decode_config({"mode": "greedy", **vars(NO_LIMITS)})
    work = load_transcriber(tmp_path / "exp", "model.pth", "cpu", config)
    speech, lengths = batch[:2]
    rows = [row[:n].numpy() for row, n in zip(speech, lengths, strict=True)]
    found = work([SpeechItem(f"utt{n}", row) for n, row in enumerate(rows)])
    tokenizer = WhisperTokenizer.from_pretrained(tiny_whisper)
    given = features(speech, lengths)
    languages = theirs.detect_language(given).tolist()
    for row, transcript, language in zip(given, found, languages, strict=True):
        code = tokenizer.convert_ids_to_tokens(language)[2:-2]
        ids = theirs.generate(
            row[None], language=code, task="transcribe", num_beams=1, do_sample=False,
            max_new_tokens=36, return_timestamps=False,
        )  # fmt: skip
        text = tokenizer.decode(ids[0], skip_special_tokens=True, errors="ignore")
        words = " ".join(text.replace("\ufffd", "").split())
        assert transcript.text == f"[{WHISPER_LANGUAGES[code][0]}] {words}".strip()


def test_a_damaged_folder_is_refused(make_tiny_whisper, build):
    folder = make_tiny_whisper(hidden=8, seconds=2, layers=1)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "decoder_layers": 2}))
    with pytest.raises(UserError, match=r"lacks decoder\.layers\.1"):
        build(ssl_checkpoint=str(folder))
