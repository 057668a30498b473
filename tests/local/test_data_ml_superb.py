"""local/data_ml_superb.py on a small tree in the benchmark's layout."""

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from tests.local.conftest import refusal
from tests.sounds import noise, write_flac

SETS = ("train", "dev", "test")
FOLDERS = {
    "M-AILABS/pol": "Zażółć gęślą jaźń.",
    "commonvoice/pol": "Dzień dobry [śmiech]!",
    "voxforge/spa": "¿Qué tal?",
    "commonvoice/ces": "Dobrý den",
    "fleurs/ron": "Bună ziua",
    "commonvoice/nan": "你好",
    "fleurs/cmn": "你好，世界。",
    "fleurs/umb": "Utete",
}


def write_tree(root, folders=FOLDERS, count=3):
    """The tree: ``count`` utterances a transcript, named as the benchmark names them."""
    for folder, text in folders.items():
        source, lang = folder.split("/")
        number = 26  # umb's reserved utterances begin at 28
        for name in ("10min_train", "1h_train", "10min_dev", "10min_test"):
            lines = []
            for _ in range(count * 2 if name == "1h_train" else count):
                number += 1
                utt_id = f"{source}_{lang}_{number:06d}"
                wav = root / folder / "wav" / f"{utt_id}.wav"
                wav.parent.mkdir(parents=True, exist_ok=True)
                write_flac(wav, noise(0.3))
                lines.append(f"{utt_id}\t{source}_{number}\t{text}\n")
            (root / folder / f"transcript_{name}.txt").write_text("".join(lines), encoding="utf-8")
    return root


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "eighth_version")


def table(prepare, name, file="text"):
    return read_table(prepare.folder / "data" / f"{name}_ml_superb" / file)


def test_the_whole_tree_is_read_with_reserved_languages_at_five_utterances(prepare, tree):
    done = prepare("--corpus", "ml_superb", "--source", tree)
    assert done.returncode == 0, done.stderr
    text = table(prepare, "train")
    # of umb's 000027-000029, the benchmark's list has 000028 and 000029
    assert [utt_id for utt_id in text if utt_id.startswith("umb")] == [
        "umb_fleurs_umb_000028", "umb_fleurs_umb_000029",
    ]  # fmt: skip
    assert len(text) == 7 * 3 + 2
    assert len(table(prepare, "dev")) == len(table(prepare, "test")) == 8 * 3
    assert text["pol_M-AILABS_pol_000027"] == "[pol] zażółć gęślą jaźń"
    assert text["cmn_fleurs_cmn_000027"] == "[cmn] 你好世界"


def test_marks_of_noise_are_no_text_and_the_second_field_neither(prepare, tree):
    prepare("--corpus", "ml_superb", "--source", tree, "--lid", "false")
    assert table(prepare, "train")["pol_commonvoice_pol_000027"] == "dzień dobry"


def test_one_hour_has_more_to_train_and_the_same_to_test(prepare, tree):
    done = prepare("--corpus", "ml_superb", "--duration", "1h", ML_SUPERB=str(tree))
    assert done.returncode == 0, done.stderr
    assert sum(utt_id.startswith("spa") for utt_id in table(prepare, "train")) == 6
    assert sum(utt_id.startswith("spa") for utt_id in table(prepare, "test")) == 3
    assert "--duration" in refusal(prepare("--corpus", "ml_superb", "--duration", "2h"))


def test_set_1_takes_each_language_from_its_own_corpus(prepare, tree):
    done = prepare("--corpus", "ml_superb", "--source", tree, "--language_set", "set1")
    assert done.returncode == 0, done.stderr
    langs = table(prepare, "train", "utt2lang")
    assert set(langs.values()) == {"pol", "spa", "ces", "ron", "nan", "cmn"}
    assert not any("commonvoice_pol" in utt_id for utt_id in langs)
    corpora = table(prepare, "train", "utt2corpus")
    assert {langs[utt_id]: corpus for utt_id, corpus in corpora.items()} == {
        "pol": "M-AILABS", "spa": "voxforge", "ces": "commonvoice", "ron": "fleurs",
        "nan": "commonvoice", "cmn": "fleurs",
    }  # fmt: skip


def test_groups_are_languages_or_languages_with_corpora(prepare, tree):
    options = ["--corpus", "ml_superb", "--source", tree, "--langs", "pol spa"]
    prepare(*options)
    assert set(table(prepare, "train", "utt2category").values()) == {"pol", "spa"}
    prepare(*options, "--group_by", "lang_corpus")
    assert set(table(prepare, "train", "utt2category").values()) == {
        "pol_M-AILABS", "pol_commonvoice", "spa_voxforge",
    }  # fmt: skip


def test_reserved_languages_can_be_left_out(prepare, tree):
    prepare("--corpus", "ml_superb", "--source", tree, "--few_shot", "false")
    assert "umb" not in table(prepare, "test", "utt2lang").values()
    line = refusal(
        prepare("--corpus", "ml_superb", "--source", tree, "--few_shot", "false", "--langs", "umb")
    )
    assert "--few_shot" in line


def test_a_reserved_language_none_of_whose_utterances_are_there_is_said(prepare, tmp_path):
    tree = write_tree(tmp_path / "t", {"fleurs/ron": "Bună", "commonvoice/umb": "Utete"})
    done = prepare("--corpus", "ml_superb", "--source", tree)
    assert done.returncode == 0, done.stderr
    assert "umb: none of its utterances in local/few_shot.tsv" in done.stderr


def test_a_language_that_the_table_lacks_is_refused_unless_others_are_chosen(prepare, tmp_path):
    tree = write_tree(tmp_path / "t", {"fleurs/ron": "Bună", "fleurs/qaa": "x"})
    line = refusal(prepare("--corpus", "ml_superb", "--source", tree))
    assert "'qaa', which local/languages.tsv lacks" in line
    assert prepare("--corpus", "ml_superb", "--source", tree, "--langs", "ron").returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--langs", "poll"], "Did you mean 'pol'?"),
        (["--langs", "deu"], "--langs deu is not a language of"),
        (["--language_set", "set9"], "Did you mean 'set1'?"),
    ],
)
def test_unknown_languages_and_sets_are_refused(prepare, tree, options, message):
    assert message in refusal(prepare("--corpus", "ml_superb", "--source", tree, *options))


def test_a_corpus_that_a_set_needs_but_the_tree_lacks_is_named(prepare, tmp_path):
    folders = {**FOLDERS, "fleurs/spa": "¿Qué tal?"}
    del folders["voxforge/spa"]
    tree = write_tree(tmp_path / "t", folders)
    line = refusal(prepare("--corpus", "ml_superb", "--source", tree, "--language_set", "set1"))
    assert "lacks voxforge/spa" in line


def test_a_missing_recording_or_text_is_counted_and_capped(prepare, tree):
    (tree / "fleurs/ron/wav/fleurs_ron_000027.wav").unlink()
    transcript = tree / "fleurs/cmn/transcript_10min_dev.txt"
    transcript.write_text("fleurs_cmn_000036\tx\n" + transcript.read_text().split("\n", 1)[1])
    options = ["--corpus", "ml_superb", "--source", tree]
    assert "(11.1 %, allowed 5 %)" in refusal(prepare(*options))
    done = prepare(*options, "--max_drop", "0.2")
    assert done.returncode == 0, done.stderr
    assert "dropped 1 of 9 ron utterances: missing audio" in done.stderr
    assert "dropped 1 of 9 cmn utterances: empty text" in done.stderr


def test_a_folder_that_is_no_ml_superb_tree_is_refused(prepare, tmp_path):
    assert "set ML_SUPERB in db.sh" in refusal(prepare("--corpus", "ml_superb", ML_SUPERB=""))
    line = refusal(prepare("--corpus", "ml_superb", "--source", tmp_path))
    assert "has no <corpus>/<lang>/transcript_10min_dev.txt" in line
