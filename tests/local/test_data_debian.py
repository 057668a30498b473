"""local/data_debian.py: thirteen languages from Debian packages or a folder."""

import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.corpora import UNKNOWN, find, read_corpora
from asr_dro_plugin.errors import UserError
from tests.debian_folders import LANGS, build_package, needs_dpkg, prompts, write_sounds
from tests.local.conftest import ROOT, contents, refusal
from tests.tool_modules import load_local

SETS = ("train", "dev", "test")
STAMPS = {"be": "bel", "bg": "bul", "ca": "cat", "da": "dan", "el": "ell", "fr": "fra",
          "ro": "ron", "ru": "rus", "es": "spa"}  # fmt: skip
EVERY = sorted({*STAMPS.values(), *LANGS.values(), "ces", "nld"})
WORDS = ("alfa", "beta", "gama", "delta", "eta", "jota", "kapa", "lambda")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Twenty-four pictures, twelve rooms and twenty-four prompts a language."""
    root = tmp_path_factory.mktemp("debian")
    stamps, game = root / "usr/share/tuxpaint/stamps", root / "usr/share/games/fillets-ng"
    ogg = root / "one.ogg"
    soundfile.write(ogg, np.zeros(22050, np.float32), 22050, format="OGG", subtype="VORBIS")
    pairs = [f"{one} {two}" for one in WORDS for two in WORDS]
    for pair in pairs[:24]:
        lines = [pair, *(f"{lang}.utf8={pair}." for lang in STAMPS)]
        write(stamps / f"{pair}.txt", "\n".join(lines))
        for lang in STAMPS:
            shutil.copy(ogg, stamps / f"{pair}_desc_{lang}.ogg")
    for n, name in enumerate(pairs[:12]):
        room = name.replace(" ", "")
        for lang in ("cs", "nl"):
            said = "".join(f'dialogId("{i}", "font_{i}", "x")\ndialogStr("{name} {word}")\n'
                           for i, word in ((f"a{n}", "kdo"), ("b", "kam")))  # fmt: skip
            write(game / "script" / room / f"dialogs_{lang}.lua", said)
            for i in (f"a{n}", "b"):
                sound = game / "sound" / room / lang / f"{i}.ogg"
                sound.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ogg, sound)
    for lang in LANGS:
        write_sounds(root, lang, prompts(lang, 24))
    ogg.unlink()
    return root


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def make(tmp_path, monkeypatch):
    """``make("--langs", "dan")`` runs the script in this process, in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["data_debian.py", *map(str, options)])
        load_local("data_debian").main()
        return tmp_path / "data"

    return run


def tables(data, name):
    return {part: read_table(data / f"{part}_debian" / name) for part in SETS}


def test_a_folder_becomes_three_sets_in_thirteen_languages(make, whole):
    data = make("--source", whole)
    for part, langs in tables(data, "utt2lang").items():
        assert sorted(set(langs.values())) == EVERY, part
    train = data / "train_debian"
    assert set(read_table(train / "utt2corpus").values()) == {"tuxpaint", "fillets", "prompts"}
    speakers = read_table(train / "utt2spk")
    assert {"dan_tuxpaint", "eng_asterisk", "ces_fillets-b"} <= set(speakers.values())
    assert all(utt.startswith(speaker) for utt, speaker in speakers.items())
    assert set(read_table(train / "utt2dur").values()) == {"1.000", "1.200"}


def test_the_licence_of_every_utterance_is_known(make, whole):
    data, rows = make("--source", whole), read_corpora()
    corpora, langs = tables(data, "utt2corpus")["train"], tables(data, "utt2lang")["train"]
    licences = {(name, find(name, langs[utt], rows).licence) for utt, name in corpora.items()}
    assert licences == {
        ("tuxpaint", "GPL-2.0-or-later"), ("fillets", "GPL-2.0"),
        ("prompts", "CC BY-SA 3.0"), ("prompts", "CC BY 3.0"),
    }  # fmt: skip
    assert UNKNOWN not in {licence for _, licence in licences}


def test_no_picture_room_or_prompt_and_no_sentence_is_in_two_sets(make, whole):
    data = make("--source", whole)
    said, sound, texts = tables(data, "utt2lang"), tables(data, "wav.scp"), tables(data, "text")
    where, sentences = {}, {}
    for part in SETS:
        for utt, path in sound[part].items():
            unit = path.split("_desc_")[0] if "_desc_" in path else path.split("/")[-3]
            if "_XX_" in path:
                unit = path.rpartition("/")[2]
            where.setdefault(unit, set()).add(part)
            sentences.setdefault((said[part][utt], texts[part][utt]), set()).add(part)
    assert len(where) == 24 + 12 + 24
    assert {len(parts) for parts in [*where.values(), *sentences.values()]} == {1}


def test_twice_the_same_bytes_and_one_language_alone_is_as_among_the_others(make, whole):
    first = contents(make("--source", whole))
    assert contents(make("--source", whole)) == first
    data = make("--source", whole, "--langs", "rus", "--name", "one")
    together = read_table(data / "test_debian" / "text")
    alone = read_table(data / "test_one" / "text")
    assert alone == {utt: text for utt, text in together.items() if utt.startswith("rus")}


def test_a_cap_of_minutes_holds_for_train_alone_and_a_lower_one_is_a_part_of_it(make, whole):
    free = contents(make("--source", whole))
    tables_of = {}
    for minutes in ("0.15", "0.1"):
        data = make("--source", whole, "--max_minutes", minutes)
        durations = read_table(data / "train_debian" / "utt2dur")
        sums = {
            lang: sum(float(d) for u, d in durations.items() if u[:3] == lang) for lang in EVERY
        }
        assert all(
            60 * float(minutes) - 1.3 < total <= 60 * float(minutes) for total in sums.values()
        )
        tables_of[minutes] = set(durations)
        for part in ("dev", "test"):
            assert (data / f"{part}_debian/text").read_bytes() == free[f"{part}_debian/text"]
    assert tables_of["0.1"] < tables_of["0.15"]


@pytest.mark.parametrize("minutes", ["0", "-1", "ten", "nan", "inf", ""])
def test_a_cap_that_is_no_positive_number_is_refused(make, whole, minutes):
    with pytest.raises(UserError, match="--max_minutes.*is not a positive number of minutes"):
        make("--source", whole, "--max_minutes", minutes)


def test_an_unknown_language_is_refused_with_the_known_ones(make, whole, tmp_path):
    with pytest.raises(UserError, match="--langs deu is not.*Known: bel bul cat ces dan ell eng"):
        make("--source", whole, "--langs", "deu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("usr/share/tuxpaint", "Add tuxpaint-stamps-default"),
        ("usr/share/games/fillets-ng/script", "Add fillets-ng-data"),
        ("usr/share/games/fillets-ng/sound", "has no speech of ces nld that can be used"),
        ("usr/share/doc/asterisk-core-sounds-it", "has no core-sounds-it.txt.gz"),
        ("usr/share/asterisk/sounds/ru_XX_f_Voice", "has no folder ru_"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused_and_nothing_is_made(
    make, whole, tmp_path, gone, message
):
    shutil.copytree(whole, tmp_path / "mine", copy_function=os.link)
    shutil.rmtree(tmp_path / "mine" / gone)
    with pytest.raises(UserError, match=message):
        make("--source", tmp_path / "mine")
    assert not (tmp_path / "data").exists()


@needs_dpkg
def test_packages_are_unpacked_for_the_languages_asked_and_stay_for_later_ones(
    make, whole, tmp_path
):
    debs = tmp_path / "debs"
    debs.mkdir()
    game = "usr/share/games/fillets-ng"
    build_package(debs, "tuxpaint-stamps-default", "1-1", whole, ["usr/share/tuxpaint"])
    make("--source", debs, "--langs", "dan")
    with pytest.raises(UserError, match=r"has no fillets-ng-data_\*.deb. Add it"):
        make("--source", debs, "--langs", "ces")
    build_package(debs, "fillets-ng-data", "1-1", whole, [f"{game}/script"])
    build_package(debs, "fillets-ng-data-cs", "1-1", whole, [f"{game}/sound"])
    data = make("--source", debs, "--langs", "ces", "--name", "ces")
    for part in ("train_debian", "train_ces"):
        sounds = read_table(data / part / "wav.scp").values()
        assert all((tmp_path / sound).exists() for sound in sounds), part


@needs_dpkg
def test_a_package_with_another_checksum_is_refused_and_nothing_is_made(make, whole, tmp_path):
    debs = tmp_path / "debs"
    debs.mkdir()
    name = "tuxpaint-stamps-default"
    build_package(debs, name, "2022.06.04-1", whole, ["usr/share/tuxpaint"])
    with pytest.raises(UserError, match=f"does not have the checksum of {name} 2022.06.04-1"):
        make("--source", debs, "--langs", "dan")
    assert not (tmp_path / "data").exists() and not list(tmp_path.rglob("tree"))


def test_without_apt_one_line_says_what_to_give(make, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="there is no apt-get. Give a folder"):
        make()
    assert not (tmp_path / "data").exists()


def test_local_data_sh_lists_the_texts_that_it_reads_and_prepares(prepare, whole):
    listed = prepare("--corpus", "debian", "--list_inputs", whole).stdout.split("\n")
    assert {"local/data_debian.py", "local/debian_packages.tsv"} <= set(listed)
    endings = {path.rpartition(".")[2] for path in listed if str(whole) in path}
    assert endings == {"txt", "lua", "gz"}
    done = prepare("--corpus", "debian", "--langs", "dan", DEBIAN=str(whole))
    assert done.returncode == 0, done.stderr
    assert "is not a folder" in refusal(prepare("--corpus", "debian", "--source", "nowhere"))


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get is not here")
def test_debians_own_packages_give_hours_of_speech_in_thirteen_languages(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "local" / "data_debian.py"], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if "no mirror answers" in done.stderr or "cannot fetch" in done.stderr:
        pytest.skip(f"no Debian mirror: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    minutes = {}
    for part, durations in tables(tmp_path / "data", "utt2dur").items():
        for utt, seconds in durations.items():
            key = utt[:3], part
            minutes[key] = minutes.get(key, 0.0) + float(seconds) / 60
    assert sorted({lang for lang, _ in minutes}) == EVERY
    assert sum(minutes.values()) > 360
    assert minutes["ces", "train"] > 10 * minutes["dan", "train"]  # unbalanced by nature
    assert min(minutes.values()) > 0.4
