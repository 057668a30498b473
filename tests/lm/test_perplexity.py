"""Perplexity and unknown words against sums done by hand."""

import math

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.build import LmSettings, build_lm
from asr_dro_plugin.lm.files import JOINT
from asr_dro_plugin.lm.perplexity import measure, perplexity_table, text_norm_of
from asr_dro_plugin.lm.text import Sentences, collect, collected
from tests.lm.plain import log_prob, read_arpa

pytest.importorskip("kenlm", reason="needs the extra lm")

TRAIN = "[eng] the cat sat\n[eng] the cat\n[pol] kot spał\n[pol] kot\n[pol] kot kot\n"
DEV = "[eng] the dog sat\n[pol] kot\n[rus] кот спал\n"


@pytest.fixture(scope="module")
def lm_dir(tmp_path_factory):
    """Models of both languages and of each."""
    folder = tmp_path_factory.mktemp("lm")
    (folder / "train").write_text(TRAIN, "utf-8")
    collect(Sentences([folder / "train"]), folder / "text", "both")
    settings = LmSettings(order=2, estimator="builtin")
    for name, text in collected(folder / "text")[1].items():
        build_lm(text, folder / "models", name, settings, "nfc")
    return folder / "models"


@pytest.fixture
def dev(tmp_path):
    (tmp_path / "dev").write_text(DEV, "utf-8")
    return Sentences([tmp_path / "dev"])


def test_the_sums_are_those_done_by_hand(lm_dir, dev):
    found = measure(lm_dir, dev)["groups"]["eng"]
    arpa = read_arpa(lm_dir / "eng" / "lm.arpa.gz")
    steps = [("<s>", "the"), ("the", "<unk>"), ("<unk>", "sat"), ("sat", "</s>")]
    logs = [log_prob(arpa, 2, (context,), word) for context, word in steps]
    assert found["language"]["perplexity"] == pytest.approx(10 ** (-sum(logs) / 4), rel=1e-4)
    without = sum(logs) - logs[1]
    assert found["language"]["perplexity_without_oov"] == pytest.approx(
        10 ** (-without / 3), rel=1e-4
    )
    counts = {key: found["language"][key] for key in ("sentences", "tokens", "oov", "oov_rate")}
    assert counts == {"sentences": 1, "tokens": 3, "oov": 1, "oov_rate": pytest.approx(1 / 3)}
    assert found[JOINT]["oov"] == 1


def test_a_language_without_a_model_is_scored_by_the_joint_one(lm_dir, dev):
    found = measure(lm_dir, dev)
    assert list(found["groups"]["rus"]) == [JOINT]
    assert found["groups"]["rus"][JOINT]["oov_rate"] == 1
    assert found["without_model"] == []
    assert found["total"][JOINT]["sentences"] == 3
    assert found["total"]["language"]["sentences"] == 2
    assert sorted(found["models"]) == ["eng", "joint", "pol"]


def test_totals_are_of_all_sentences_pooled(lm_dir, dev):
    found = measure(lm_dir, dev)
    rows = [found["groups"][lang][JOINT] for lang in ("eng", "pol", "rus")]
    total = found["total"][JOINT]
    for key in ("sentences", "tokens", "oov", "log10_prob"):
        assert total[key] == pytest.approx(sum(row[key] for row in rows))
    exponent = -total["log10_prob"] / (total["tokens"] + total["sentences"])
    assert math.log10(total["perplexity"]) == pytest.approx(exponent)


def test_one_file_is_the_joint_model_of_every_sentence(lm_dir, dev):
    found = measure(lm_dir / "pol" / "lm.arpa.gz", dev)
    assert [list(row) for row in found["groups"].values()] == [[JOINT]] * 3
    assert found["total"][JOINT]["oov"] == 5


def test_a_language_that_no_model_scores_is_named(lm_dir, dev, tmp_path):
    for name in ("eng", "pol"):
        (tmp_path / "some").mkdir(exist_ok=True)
        (tmp_path / "some" / name).symlink_to(lm_dir / name)
    found = measure(tmp_path / "some", dev)
    assert (list(found["groups"]), found["without_model"]) == (["eng", "pol"], ["rus"])
    table = perplexity_table(found)
    assert "1 languages without a model, not scored: rus" in table
    assert table.splitlines()[-4].split()[:3] == ["total", "language", "2"]


def test_a_text_without_languages_has_totals_only(lm_dir, tmp_path):
    (tmp_path / "plain").write_text("the cat\nkot\n", "utf-8")
    found = measure(lm_dir, Sentences([tmp_path / "plain"]))
    assert found["groups"] == {}
    assert found["total"][JOINT]["sentences"] == 2
    assert perplexity_table(found).count("\n") == 4


def test_the_table_has_a_row_a_language_and_model(lm_dir, dev):
    lines = perplexity_table(measure(lm_dir, dev)).splitlines()
    names = [line.split()[:2] for line in lines[2:9] if line[0] != "-"]
    assert names == [
        ["eng", "joint"], ["eng", "eng"], ["pol", "joint"], ["pol", "pol"], ["rus", "joint"],
        ["total", "joint"],
    ]  # fmt: skip
    assert "total  language" in lines[9]
    assert max(map(len, lines)) <= 100


def test_the_text_is_normalised_as_the_models_say(lm_dir, tmp_path):
    assert text_norm_of(lm_dir) == "nfc"
    assert text_norm_of(lm_dir / "eng" / "lm.arpa.gz") == "nfc"
    (tmp_path / "lm" / "eng").mkdir(parents=True)
    (tmp_path / "lm" / "pol").symlink_to(lm_dir / "pol")
    arpa = (lm_dir / "eng" / "lm.arpa.gz").read_bytes()
    (tmp_path / "lm" / "eng" / "lm.arpa.gz").write_bytes(arpa)  # from elsewhere: no lm.json
    with pytest.raises(UserError, match="normalised by nfc and by none"):
        text_norm_of(tmp_path / "lm")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\n\n", r"holds no sentence \(0 empty\)"),
        ("[rus] кот\n", "has models for eng; the text's languages are rus. Build"),
        ("plain\n", r"languages are none \(give --groups utt2lang\)"),
    ],
)
def test_nothing_to_score_is_one_line(lm_dir, tmp_path, content, said):
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "eng").symlink_to(lm_dir / "eng")
    (tmp_path / "dev").write_text(content, "utf-8")
    with pytest.raises(UserError, match=said):
        measure(tmp_path / "lm", Sentences([tmp_path / "dev"]))


def test_what_kenlm_says_of_a_file_is_said_whole_and_without_its_own_names(tmp_path, dev):
    (tmp_path / "corpus.txt").write_text("hello\n")
    with pytest.raises(UserError, match="is not read by KenLM: first") as one:
        measure(tmp_path / "corpus.txt", dev)
    assert "hello" in str(one.value) and "asr-dro lm build" in str(one.value)


def test_a_model_that_kenlm_does_not_read_is_one_line(tmp_path, dev):
    (tmp_path / "lm.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(UserError, match="lm.bin is not read by KenLM") as caught:
        measure(tmp_path / "lm.bin", dev)
    assert "\n" not in str(caught.value)
