"""The real Whisper base on real recordings: imported, described, decoded as transformers decodes.

One recording of each of five languages; ``benchmarks/bench_whisper.py`` takes the whole test set.
"""

import pytest
import soundfile
import torch

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin import decode, import_model, info, score, transcribe
from asr_dro_plugin.text.whisper_languages import WHISPER_LANGUAGES
from tests.espnet.parts.test_hf_whisper import GREEDY
from tests.shared_files import NotHere, recordings

pytest_plugins = ["tests.fixtures_whisper_base"]
pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def rows():
    """The shortest recording of three seconds and more of each language."""
    try:
        found = recordings()
    except NotHere as reason:
        pytest.skip(str(reason))
    long_enough = [row for row in found if float(row["duration"]) >= 3.0]
    shortest = {
        row["lang"]: row for row in sorted(long_enough, key=lambda r: -float(r["duration"]))
    }
    return [shortest[lang] for lang in sorted(shortest)]


@pytest.fixture(scope="module")
def exp(real_whisper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "exp"
    import_model.main(["--from", "hf", str(real_whisper), "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def data(rows, tmp_path_factory):
    """Their Kaldi directory, as stages 3 and 4 leave it."""
    folder = tmp_path_factory.mktemp("data")
    columns = {"wav.scp": "audio", "text": "transcript", "utt2lang": "lang"}
    for name, column in columns.items():
        write_table(folder / name, {row["utt_id"]: row[column] for row in rows})
    frames = {row["utt_id"]: str(soundfile.info(row["audio"]).frames) for row in rows}
    write_table(folder / "utt2num_samples", frames)
    return folder


@pytest.fixture(scope="module")
def decoded(exp, data, tmp_path_factory):
    """Stage 12: texts by utterance, and the folder."""
    out = tmp_path_factory.mktemp("out")
    words = ["--exp", str(exp), "--config", str(GREEDY), "--data_dir", str(data)]
    decode.main([*words, "--out_dir", str(out)])
    decode.main([*words, "--out_dir", str(out), "--merge", "true"])
    return read_table(out / "text"), out


@pytest.fixture(scope="module")
@torch.inference_mode()
def theirs(real_whisper, rows):
    """What transformers writes, the language free: our tag of it, and the text."""
    from transformers import (
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    model = WhisperForConditionalGeneration.from_pretrained(real_whisper).eval()
    tokenizer = WhisperTokenizer.from_pretrained(real_whisper)
    speech = [soundfile.read(row["audio"], dtype="float32")[0] for row in rows]
    extractor = WhisperFeatureExtractor.from_pretrained(real_whisper)
    features = extractor(speech, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
    encoded = model.get_encoder()(features)
    languages = model.detect_language(encoder_outputs=encoded).tolist()
    ids = model.generate(
        encoder_outputs=encoded, language=tokenizer.convert_ids_to_tokens(languages),
        task="transcribe", num_beams=1, do_sample=False, return_timestamps=False,
    )  # fmt: skip
    codes = [token[2:-2] for token in tokenizer.convert_ids_to_tokens(languages)]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [f"[{WHISPER_LANGUAGES[code][0]}]{text}" for code, text in zip(codes, texts)]


def test_every_text_is_what_transformers_writes(decoded, rows, theirs):
    assert [decoded[0][row["utt_id"]] for row in rows] == theirs
    assert not (decoded[1] / "ended_early.tsv").exists()


def test_it_knows_the_languages_and_most_of_the_letters(decoded, data, capsys):
    words = [str(data / "text"), str(decoded[1] / "text"), "--groups", str(data / "utt2lang")]
    score.main(words)
    out = capsys.readouterr().out
    (macro,) = (line for line in out.splitlines() if line.split()[:1] == ["macro"])
    assert float(macro.split()[1]) < 25.0, out


def test_transcribe_writes_what_stage_12_writes(exp, rows, decoded, capsys):
    row = rows[-1]
    transcribe.main([row["audio"], "--exp", str(exp)])
    assert capsys.readouterr().out.strip() == decoded[0][row["utt_id"]]


def test_info_tells_its_sizes(exp, capsys):
    info.main([str(exp)])
    out = capsys.readouterr().out
    assert "72,593,920" in out.replace(".", ",") or "72.6" in out, out
