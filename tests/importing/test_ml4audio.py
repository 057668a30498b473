"""--from ml4audio: a model directory of its service becomes an experiment, cards stay data."""

import argparse
import gzip
import json
import math
import re
import shutil

import pytest
import yaml

from asr_dro_plugin.bin.transcribe import get_parser
from asr_dro_plugin.decoding.command_line import request_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.pack import PackOptions, pack
from asr_dro_plugin.importing.cards import facts_of, read_card
from asr_dro_plugin.importing.ml4audio import _letters
from asr_dro_plugin.lm.build import LmSettings, build_lm
from asr_dro_plugin.lm.files import find_lm
from asr_dro_plugin.packing.unpack import unpack
from tests import hf_models
from tests.importing.reading import imported, read

TOP = "ml4audio.asr_inference.hf_asr_pipeline.HfAsrPipelineFromLogitsInferencerDecoder"
AM, INFERENCE = "FinetunedCheckpoint-toy-0123abc", "HfAsrPipeline-hfpipeline-toy-4567def"
LM = "KenLMForPyCTCDecodeFromArpa-letters-89abcde"


def part(name, factor, hours, proportion, key):
    """A part of a mix of corpora."""
    corpus = {
        key: "ml4audio_v2.speech_data.C", "stats": {"duration_in_hours": hours},
        "hf_dataset_name": "one that holds several", "name": name,
    }  # fmt: skip
    data = {key: "ml4audio_v2.speech_data.asr_corpora.AscoAuteda", "corpus": corpus}
    unset = {key: "misc_utils.dataclass_utils._UNDEFINED"}
    return {
        key: "ml4audio_v2.data.SizeAwareDataPart", "factor": factor, "min_hours": 1, "data": data,
        "proportion": unset if proportion is None else proportion,
    }  # fmt: skip


def card_of(key="_python_dataclass_", model=AM, **changes):
    """A card of inference in a dialect; every object of the loadable one has an ``_id_``."""
    prefix = {key: "misc_utils.prefix_suffix.PrefixSuffix", "prefix_key": "cache_root",
              "suffix": "AM_MODELS", "prefix": "/somewhere/else/cache"}  # fmt: skip
    master = {
        key: "ml4audio_v2.finetuning.FineTuneMaster",
        "edp": {"corpora": [part("held out", 1.0, 1.0, None, key)]},
        "tdp": {
            "stats": {"audio_lens_stats": {"0": {"count": 1603616.0, "mean": 8.16175594001307}}},
            "corpora": {key: "misc_utils.buildable.BuildableList", "data": [
                part("read", 0.1, 917.68, 91.768, key), part("spoken", 1.0, 7.15, 7.15, key),
            ]},
        },
        "indirect": [part("read", 0.1, None, None, key)],
        "train_args": {"learning_rate": 1e-05, "max_steps": 100000},
    }  # fmt: skip
    card = {
        key: TOP,
        "logits_inferencer": {
            "checkpoint": {"name": "toy", "finetune_master": master}, "input_sample_rate": 16000,
        },
        "decoder": {
            "tokenizer_name_or_path": {"prefix_key": "am_models", "suffix": f"{model}/model",
                                       "prefix": prefix},
            "lm_weight": 0.5, "beta": 1.5, "num_best": 1, "beam_size": 100,
            "lm_data": {"name": "letters", "casing": {key: "ml4audio.text.Casing", "value": "1"}},
        },
        "chunk_length_s": 16.0, "stride_length_s": None,
    }  # fmt: skip
    made = {**card, **changes}
    if key == "_target_":
        made = json.loads(json.dumps(made), object_hook=lambda each: {**each, "_id_": 140})
    return made


def write(path, card):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(card if isinstance(card, str) else json.dumps(card))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model directory, its language model of words of the letters a, b, c."""
    top = tmp_path_factory.mktemp("whole") / "the service's models"
    hf_models.write_folder(top / "AM_MODELS" / AM / "model")
    text = top.parent / "text"
    text.write_text("abc ab b\nab abc\nb abc ab\nca b\n")
    build_lm(text, top.parent, "made", LmSettings(2, "word", (0,), "builtin"))
    (top / "LM_MODELS" / LM).mkdir(parents=True)
    shutil.copy(top.parent / "made/lm.arpa.gz", top / "LM_MODELS" / LM)
    with gzip.open(top / "LM_MODELS" / LM / "unigrams.txt.gz", "wt") as stream:
        stream.write("abc\nab\nb\nca\nnowhere\n")
    write(top / "AM_MODELS" / AM / "dataclass.json", {"name": "toy", "casing": {"value": "1"}})
    write(top / "ASR_INFERENCE" / INFERENCE / "dataclass.json", card_of())
    return top


@pytest.fixture
def top(whole, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(whole, tmp_path / "models")
    return tmp_path / "models"


def inference(top):
    return next(top.glob("ASR_INFERENCE/*/dataclass.json"))


@pytest.fixture(scope="module")
def experiment(whole, tmp_path_factory):
    return imported("ml4audio", whole, tmp_path_factory.mktemp("made") / "exp")


def test_decoding_is_pyctcdecodes_in_our_terms(experiment):
    assert yaml.safe_load((experiment / "decode.yaml").read_text()) == {
        "mode": "lm", "lm_weight": 0.5, "word_score": 1.5, "beam_size": 100, "beam_threshold": 10.0,
        "nbest": 1, "lexicon": False, "unk_score": round(-5 * math.log(10), 4),
        "chunk_length": 16.0,
    }  # fmt: skip


def test_a_word_is_known_where_model_and_list_have_it(experiment):
    files = find_lm(experiment / "lm")
    assert files.words() == ["abc", "ab", "b", "ca"]
    assert files.description["order"] == 2 and files.description["characters"] == ["a", "b", "c"]
    assert "1 of 5 listed words are not in lm.arpa.gz" in read(experiment)[2]["notes"][0]


def test_what_the_import_made_is_decoded_with_by_default(experiment, monkeypatch, tmp_path):
    moved = shutil.copytree(experiment, tmp_path / "moved elsewhere")
    args = get_parser().parse_args(["a.wav", "--exp", str(moved)])
    request = request_of(args, ["text"], "--format")
    assert request.config["mode"] == "lm" and request.config["chunk_length"] == 16.0
    told = argparse.Namespace(**{**vars(args), "config": None, "lm_dir": None, "nbest": 2})
    assert request_of(told, ["text"], "--format").config["mode"] == "beam"


def test_hours_by_corpus_and_settings_go_into_the_card(experiment, tmp_path):
    card = read(experiment)[2]["card"]
    rows = [
        {"name": "read", "hours": 917.68, "hours_in_mix": 91.768, "factor": 0.1, "min_hours": 1},
        {"name": "spoken", "hours": 7.15, "hours_in_mix": 7.15, "factor": 1.0, "min_hours": 1},
    ]
    assert card["corpora"] == rows and card["hours_seen"] == pytest.approx(3635.6, abs=0.1)
    assert (card["casing"], card["max_steps"], card["input_sample_rate"]) == ("1", 100000, 16000)
    pack(experiment, tmp_path / "m.zip", PackOptions())
    made = unpack(tmp_path / "m.zip", tmp_path / "unpacked").exp
    written = (made / "README.md").read_text()
    assert "| read | 917.68 | 91.768 | 0.1 | 1 |" in written and "3635.6 hours" in written
    assert "trained elsewhere" in written and (made / "lm/joint/lm.json").is_file()


def test_both_dialects_say_the_same(experiment, top, tmp_path):
    write(inference(top), card_of("_target_"))
    other = imported("ml4audio", top, tmp_path / "exp")
    assert read(other)[2]["card"] == read(experiment)[2]["card"]


def test_nothing_made_names_a_place_of_this_machine(experiment, whole):
    for path in experiment.rglob("*"):
        if path.is_file() and path.suffix != ".pth":
            raw = path.read_bytes()
            raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
            assert str(whole.parent).encode() not in raw and b"/somewhere" not in raw, path


def test_names_of_folders_and_classes_decide_nothing(experiment, top, tmp_path):
    write(inference(top), card_of(_python_dataclass_="ml4audio.renamed.Pipeline"))
    for number, old in enumerate(["AM_MODELS", "LM_MODELS", "ASR_INFERENCE"]):
        (top / old).rename(top / f"part {number}")
    assert (
        read(imported("ml4audio", top, tmp_path / "exp"))[2]["card"]
        == (read(experiment)[2]["card"])
    )


def test_of_several_ways_to_decode_the_folder_of_one_is_given(top, tmp_path):
    second = card_of(decoder={}, chunk_length_s=8.0, stride_length_s=[1.0, 2.0])
    where = write(top / "ASR_INFERENCE/second/dataclass.json", second).parent
    with pytest.raises(UserError, match=rf"in 2 ways \(ASR_INFERENCE/{INFERENCE}, .*second\)"):
        imported("ml4audio", top, tmp_path / "exp")
    out = imported("ml4audio", where, tmp_path / "exp")
    assert yaml.safe_load((out / "decode.yaml").read_text()) == {
        "mode": "greedy",
        "chunk_length": 8.0,
        "stride": [1.0, 2.0],
    }
    assert not (out / "lm").exists()
    assert any("without a language model" in note for note in read(out)[2]["notes"])


def test_of_several_models_the_card_names_one(top, tmp_path):
    for folder, other in (("AM_MODELS", "FinetunedCheckpoint-other-1"), ("LM_MODELS", "K-other-1")):
        shutil.copytree(next((top / folder).iterdir()), top / folder / other)
    out = imported("ml4audio", top, tmp_path / "exp")
    assert (out / "lm").exists()
    write(inference(top), card_of(model="gone", logits_inferencer={}))
    with pytest.raises(UserError, match=r"holds 2 models \(AM_MODELS/.*no card says which"):
        imported("ml4audio", top, tmp_path / "second")


def test_without_any_card_the_one_language_model_is_used_as_pyctcdecode_would(top, tmp_path):
    shutil.rmtree(top / "ASR_INFERENCE")
    out = imported("ml4audio", top, tmp_path / "exp")
    made = yaml.safe_load((out / "decode.yaml").read_text())
    assert (made["mode"], made["lm_weight"], made["word_score"]) == ("lm", 0.5, 1.5)


def test_a_language_model_that_is_not_there_is_told(top, tmp_path):
    shutil.rmtree(top / "LM_MODELS")
    out = imported("ml4audio", top, tmp_path / "exp")
    assert yaml.safe_load((out / "decode.yaml").read_text())["mode"] == "greedy"
    assert "which is not there" in read(out)[2]["notes"][0]


@pytest.mark.parametrize(("words", "says"), [
    (["ABC", "AB"], "scores none of the words"), ([], "names no word"),
])  # fmt: skip
def test_a_list_of_words_that_is_anothers_is_refused(words, says, top, tmp_path):
    with gzip.open(next(top.glob("LM_MODELS/*/unigrams.txt.gz")), "wt") as stream:
        stream.writelines(f"{word}\n" for word in words)
    with pytest.raises(UserError, match=says):
        imported("ml4audio", top, tmp_path / "exp")
    assert not (tmp_path / "exp").exists()


def test_names_of_special_tokens_are_no_letters():
    assert _letters(["<blank>", "<unk>", "E", "<", "ij"]) == {"E", "<", "i", "j"}


def test_a_language_model_in_another_case_than_the_tokens_is_refused(top, tmp_path):
    lm = next(top.glob("LM_MODELS/*"))
    text = gzip.decompress((lm / "lm.arpa.gz").read_bytes()).decode()
    for word in ("abc", "ab", "ca", "b"):
        text = re.sub(rf"(?<=[\t ]){word}(?=[\t\n ])", word.upper(), text)
    with gzip.open(lm / "lm.arpa.gz", "wt") as stream:
        stream.write(text)
    (lm / "unigrams.txt.gz").unlink()
    with pytest.raises(UserError, match="no letter of the acoustic model's tokens"):
        imported("ml4audio", top, tmp_path / "exp")


@pytest.mark.parametrize(("decoder", "says"), [
    ({"lm_weight": -1, "beta": 0}, "lm_weight"), ({"lm_weight": 0.5, "beam_size": 0}, "beam_size"),
    ({"lm_weight": "much"}, "lm_weight"),
])  # fmt: skip
def test_settings_that_no_decoding_has_are_refused(decoder, says, top, tmp_path):
    write(inference(top), card_of(decoder=decoder))
    with pytest.raises(UserError, match=f"settings of dataclass.json: {says}"):
        imported("ml4audio", top, tmp_path / "exp")


def test_a_folder_without_a_model_is_refused_and_nothing_above_it_is_searched(top, tmp_path):
    with pytest.raises(UserError, match="LM_MODELS holds no model"):
        imported("ml4audio", top / "LM_MODELS", tmp_path / "exp")


HOSTILE = {
    "function of Python": ({"_target_": "os.system", "command": "touch sentinel"}, "os.system"),
    "other dialect": ({"x": [{"_python_dataclass_": "os.system"}]}, "os.system"),
    "third key": ({"x": {"_cls_": "subprocess.Popen"}}, "subprocess.Popen"),
    "function of theirs": (
        {"_target_": "misc_utils.processing_utils.exec_command", "command": "touch sentinel"},
        "unknown type 'misc_utils.processing_utils.exec_command'",
    ),
    "name that begins alike": ({"_target_": "misc_utils_.X"}, "unknown type"),
    "no name": ({"_target_": ["os.system"]}, "unknown type"),
    "a line more": ({"_target_": "misc_utils.X\nos.system"}, "unknown type"),
    "NaN": ('{"lm_weight": NaN}', "NaN, which is no number"),
    "infinity": ('{"lm_weight": -Infinity}', "Infinity, which is no number"),
    "said twice": ('{"lm_weight": 1, "lm_weight": 2}', "'lm_weight' twice"),
    "without end": ("[" * 200_000, "is no JSON"),
    "deep": ('{"a":' * 300 + "1" + "}" * 300, "nested too deeply"),
    "digits": ('{"max_steps": ' + "9" * 5000 + "}", "is no JSON"),
    "huge": (" " * (2**24 + 1), "too large"),
    "no JSON": ("PK\x03\x04", "is no JSON"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_card_is_refused_and_nothing_of_it_runs(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card, says = HOSTILE[kind]
    with pytest.raises(UserError, match=says) as caught:
        read_card(write(tmp_path / "dataclass.json", card))
    assert "\n" not in str(caught.value) and not (tmp_path / "sentinel").exists()


def test_identities_that_lead_in_a_circle_do_no_harm(tmp_path):
    circle = {"_target_": "ml4audio.X", "_id_": 1, "next": {"_target_": "ml4audio.X", "_id_": 1}}
    assert read_card(write(tmp_path / "dataclass.json", circle)) == {"next": {}}


def test_a_card_that_is_never_used_is_checked_where_a_model_lies_beside_it(top, tmp_path):
    write(next(top.glob("AM_MODELS/*")) / "dataclass.json", {"_target_": "os.system"})
    with pytest.raises(UserError, match="unknown type 'os.system'"):
        imported("ml4audio", top, tmp_path / "exp")


@pytest.mark.parametrize(
    "where", ["/corpora/MLS/mls_spanish.tar.gz", r"C:\corpora\mls_spanish.tar.gz"]
)
def test_a_corpus_without_a_name_is_called_by_its_file_and_not_by_its_place(where):
    data = {"corpus": {"transcripts": {"targz_file": where}, "split": "train"}}
    mix = {"data": data, "factor": 0.1, "min_hours": 1, "proportion": 91.77}
    assert facts_of([{"corpora": [mix]}])["corpora"] == [{
        "name": "mls_spanish train", "hours": None, "hours_in_mix": 91.77, "factor": 0.1,
        "min_hours": 1,
    }]  # fmt: skip
