"""local/data_prompts.py: real prompts from Debian packages or a folder."""

import gzip
import os
import shutil
import subprocess
import sys

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from tests.debian_folders import LANGS, WORDS, build_package, needs_dpkg, prompts, write_sounds
from tests.local.conftest import ROOT, contents, refusal
from tests.sounds import noise, write_flac

SETS = ("train", "dev", "test")


@pytest.fixture
def tree(tmp_path):
    """A folder as the packages unpack, 60 prompts a language."""
    for lang in LANGS:
        write_sounds(tmp_path / "sounds", lang, prompts(lang, 60))
    return tmp_path / "sounds"


def texts_by_set(data, lang):
    tag = f"[{lang}] "
    return {
        name: {
            utt_id.split("-", 1)[1]: text.removeprefix(tag)
            for utt_id, text in read_table(data / f"{name}_prompts" / "text").items()
            if text.startswith(tag)
        }
        for name in SETS
    }


def test_a_folder_becomes_three_sets_in_five_languages(prepare, tree):
    done = prepare("--source", tree)
    assert done.returncode == 0, done.stderr
    train = prepare.folder / "data" / "train_prompts"
    assert set(read_table(train / "utt2lang").values()) == set(LANGS.values())
    assert set(read_table(train / "utt2dur").values()) == {"1.200"}
    assert set(read_table(train / "utt2corpus").values()) == {"prompts"}
    assert set(read_table(train / "utt2spk").values()) == {
        f"{iso}_asterisk" for iso in LANGS.values()
    }
    first = next(iter(read_table(train / "wav.scp").items()))
    assert first[0].startswith("eng_asterisk-dir-key-")
    assert first[1].endswith(".g722")


def test_a_key_is_in_the_same_set_in_every_language(prepare, tree):
    assert prepare("--source", tree).returncode == 0
    by_lang = [texts_by_set(prepare.folder / "data", iso) for iso in LANGS.values()]
    for name in SETS:
        assert len({frozenset(sets[name]) for sets in by_lang}) == 1
    assert sum(len(by_lang[0][name]) for name in SETS) == 60


def test_one_language_alone_is_split_as_all_together(prepare, tree):
    prepare("--source", tree)
    together = texts_by_set(prepare.folder / "data", "fra")
    shutil.rmtree(prepare.folder / "data")
    prepare("--source", tree, "--langs", "fra")
    assert texts_by_set(prepare.folder / "data", "fra") == together


def test_no_sentence_crosses_the_sets_in_any_language(prepare, tree):
    # 100 pairs of keys say the same in Spanish; Russian joins 33 pairs to their neighbours
    spanish, russian = prompts("es", 200), prompts("ru", 200)
    for n in range(0, 200, 2):
        spanish[f"dir/key-{n:03d}"] = spanish[f"dir/key-{n + 1:03d}"].upper()
    for n in range(1, 199, 6):
        russian[f"dir/key-{n:03d}"] = russian[f"dir/key-{n + 1:03d}"]
    for lang, texts in (("en", prompts("en", 200)), ("es", spanish), ("ru", russian)):
        write_sounds(tree, lang, texts)
    done = prepare("--source", tree)
    assert done.returncode == 0, done.stderr
    split = (prepare.folder / "data" / "split_prompts.tsv").read_text().splitlines()[1:]
    assert len(split) == 100 - 33
    english = texts_by_set(prepare.folder / "data", "eng")
    where = {key: name for name in SETS for key in english[name]}
    for n in [*range(0, 200, 2), *range(1, 199, 6)]:
        assert where[f"dir-key-{n:03d}"] == where[f"dir-key-{n + 1:03d}"]


def test_what_is_no_plain_speech_is_left_out_with_its_reason(prepare, tree):
    odd = {
        "odd/digits": "press 1 now", "odd/brackets": "[beep] hello there", "odd/letter": "E.",
        "letters/dash": "the dash", "odd/empty": "", "odd/twin": WORDS["en"] + " aa",
        "odd/script": "нажмите the key", "odd/slow": "hm",
        "odd/fast": "much too much text for a second of any speech",
    }  # fmt: skip
    write_sounds(tree, "en", {**prompts("en", 60), **odd})
    assert prepare("--source", tree).returncode == 0
    lines = (prepare.folder / "data" / "left_out_prompts.tsv").read_text().splitlines()[1:]
    reasons = {line.split("\t")[0]: line.split("\t")[2] for line in lines}
    assert reasons == {
        "eng_asterisk-odd-digits": "has digits",
        "eng_asterisk-odd-brackets": "has brackets",
        "eng_asterisk-odd-letter": "a single letter",
        "eng_asterisk-letters-dash": "a spelled letter",
        "eng_asterisk-odd-empty": "no text",
        "eng_asterisk-odd-twin": "repeats another prompt",
        "eng_asterisk-odd-script": "letters of another script",
        "eng_asterisk-odd-slow": "implausible rate",
        "eng_asterisk-odd-fast": "implausible rate",
    }


def test_missing_recordings_count_as_damage(prepare, tree):
    voice = tree / "usr/share/asterisk/sounds/fr_XX_f_Voice/dir"
    for n in range(4):
        (voice / f"key-{n:03d}.g722").unlink()
    line = refusal(prepare("--source", tree))
    assert "would lose 4 of 60 fra utterances (6.7 %, allowed 5 %)" in line
    assert "missing audio" in line


def test_other_formats_and_plain_folders_do_as_well(prepare, tmp_path):
    folder = tmp_path / "mine"
    texts = prompts("it", 60)
    for key in texts:
        write_flac(folder / "ita" / f"{key}.flac", noise(1.2))
    listed = "".join(f"{key}: {text}\n" for key, text in texts.items())
    (folder / "core-sounds-it.txt").write_text(listed)
    done = prepare("--source", folder, "--langs", "ita")
    assert done.returncode == 0, done.stderr
    assert "no core-sounds-en.txt.gz" in refusal(prepare("--source", folder))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"good: text\nbad line\n", ":2 is not 'key: text'"), (b"a: b\nc: \xff\n", ":2 is not UTF-8")],
)
def test_a_damaged_list_is_an_error_with_its_line(prepare, tree, content, message):
    path = tree / "usr/share/doc/asterisk-core-sounds-es/core-sounds-es.txt.gz"
    path.write_bytes(gzip.compress(content))
    assert message in refusal(prepare("--source", tree))


def test_an_unknown_language_is_refused_with_the_known_ones(prepare, tree):
    line = refusal(prepare("--source", tree, "--langs", "deu"))
    assert "Known: eng fra ita rus spa." in line


# ---- packages ----


def build_packages(tree, folder, version="0.1-1"):
    """The tree as the ten packages of a Debian mirror."""
    for lang in LANGS:
        doc, voice = (
            f"usr/share/doc/asterisk-core-sounds-{lang}",
            f"usr/share/asterisk/sounds/{lang}_XX_f_Voice",
        )
        build_package(folder, f"asterisk-core-sounds-{lang}", version, tree, [doc])
        build_package(folder, f"asterisk-core-sounds-{lang}-g722", version, tree, [voice])
    return folder


@needs_dpkg
def test_packages_of_the_users_are_unpacked_once_and_checked_ever_after(prepare, tree, tmp_path):
    debs = build_packages(tree, tmp_path / "debs")
    done = prepare("--source", debs)
    assert done.returncode == 0, done.stderr
    assert "is version 0.1-1, not 1.6.1-1 as in the table: taken from your folder" in done.stderr
    unpacked = prepare.folder / "downloads" / "prompts" / "tree"
    first, data = contents(unpacked), contents(prepare.folder / "data")

    again = prepare("--source", debs)
    assert again.returncode == 0
    assert "is version" not in again.stderr  # nothing was unpacked a second time
    assert contents(prepare.folder / "data") == data

    next(unpacked.rglob("*.g722")).write_bytes(b"half a fi")
    mended = prepare("--source", debs)
    assert mended.returncode == 0
    assert "is not what was unpacked there; it is made again" in mended.stderr
    assert contents(unpacked) == first


@needs_dpkg
def test_a_tree_without_its_mark_is_not_trusted(prepare, tree, tmp_path):
    debs = build_packages(tree, tmp_path / "debs")
    assert prepare("--source", debs).returncode == 0
    store = prepare.folder / "downloads" / "prompts"
    (store / "complete.json").write_text('{"packages": {')
    next((store / "tree").rglob("*.g722")).unlink()
    (store / ".tree.1.tmp").mkdir()  # as a kill leaves it
    assert prepare("--source", debs).returncode == 0
    assert not list(store.glob(".*"))
    assert len(list((store / "tree").rglob("*.g722"))) == 300


@needs_dpkg
def test_a_known_version_with_another_checksum_is_refused(prepare, tree, tmp_path):
    debs = build_packages(tree, tmp_path / "debs", version="1.6.1-1")
    line = refusal(prepare("--source", debs))
    assert "does not have the checksum of asterisk-core-sounds-en 1.6.1-1" in line
    assert not (prepare.folder / "downloads" / "prompts" / "tree").exists()


@needs_dpkg
def test_a_package_that_is_cut_short_is_refused(prepare, tree, tmp_path):
    debs = build_packages(tree, tmp_path / "debs")
    path = debs / "asterisk-core-sounds-it-g722_0.1-1_all.deb"
    path.write_bytes(path.read_bytes()[:-5000])
    assert "cannot be unpacked" in refusal(prepare("--source", debs))
    assert not (prepare.folder / "data").exists()


def run_script(folder, **env):
    """The script itself, so that PATH can be emptied."""
    return subprocess.run(
        [sys.executable, ROOT / "local" / "data_prompts.py"], cwd=folder, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, check=False,
    )  # fmt: skip


def test_without_apt_one_line_says_what_to_give(tmp_path):
    line = refusal(run_script(tmp_path, PATH=str(tmp_path)))
    assert "there is no apt-get. Give a folder" in line
    assert "--data_source FOLDER" in line


@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get is not here")
def test_without_a_mirror_one_line_says_what_to_give(tmp_path):
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "sources.list").write_text("deb http://127.0.0.1:9/debian stable main\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::State::Lists "{tmp_path}/lists";\n'
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "-";\n'
    )
    line = refusal(run_script(tmp_path, APT_CONFIG=str(tmp_path / "apt.conf")))
    assert "no mirror answers" in line
    assert "--data_source FOLDER" in line
    assert not list((tmp_path / "downloads" / "prompts").iterdir())


@pytest.mark.network
@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get is not here")
def test_debians_own_packages_are_fetched_and_verified(tmp_path):
    command = [sys.executable, ROOT / "local" / "data_prompts.py", "--langs", "rus"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if "no mirror answers" in done.stderr or "cannot fetch" in done.stderr:
        pytest.skip(f"no Debian mirror: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    minutes = {}
    for name in SETS:
        durations = read_table(tmp_path / "data" / f"{name}_prompts" / "utt2dur").values()
        minutes[name] = sum(map(float, durations)) / 60
    assert minutes["train"] > 8
    assert min(minutes["dev"], minutes["test"]) > 0.8
