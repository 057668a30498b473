"""asr_dro_plugin/data/debian/tuxpaint.py: names of pictures and who reads them."""

import pytest

from asr_dro_plugin.data.debian import tuxpaint
from asr_dro_plugin.errors import UserError

LANGS = {"dan": "da", "fra": "fr"}


@pytest.fixture
def stamps(tmp_path):
    folder = tmp_path / "usr/share/tuxpaint/stamps"
    folder.mkdir(parents=True)
    return folder


def picture(stamps, name, content, *langs):
    path = stamps / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.with_suffix(".txt").write_bytes(content.encode())
    for lang in langs:
        (path.parent / f"{path.name}_desc_{lang}.ogg").touch()
    (path.parent / f"{path.name}.ogg").touch()  # the noise that the animal makes
    (path.parent / f"{path.name}_desc.ogg").touch()


def found(root, key="text"):
    return {(s.lang, s.name): getattr(s, key) for s in tuxpaint.read(root, LANGS)}


def test_each_recording_gets_the_line_of_its_language(stamps, tmp_path):
    picture(stamps, "animals/dog", "A dog.\nda.utf8=En hund.\nfr.utf8=Un chien.\n", "da", "fr")
    assert found(tmp_path) == {
        ("dan", "animals/dog"): "En hund.",
        ("fra", "animals/dog"): "Un chien.",
    }
    (dog, _) = tuxpaint.read(tmp_path, LANGS)
    assert dog.ids == ("dan_tuxpaint", "dan_tuxpaint-animals-dog")
    assert dog.source.endswith("dog.txt:2") and dog.audio.name == "dog_desc_da.ogg"


def test_carriage_returns_a_mark_of_utf8_and_near_names_do_no_harm(stamps, tmp_path):
    text = "\ufeffA dog.\r\nda_DK.utf8=no\r\nda@x.utf8=no\r\n da.utf8= En  hund. \r\nca.utf8=no\r\n"
    picture(stamps, "dog", text, "da")
    assert found(tmp_path) == {("dan", "dog"): "En  hund."}


@pytest.mark.parametrize(
    ("content", "langs", "fault"),
    [
        ("A dog.\nfr.utf8=Un chien.\n", ("da",), "no text"),
        (None, ("da",), "no text"),
        ("A dog.\nda.utf8=En hund.\n", (), "no recording"),
        ("A dog.\nda.utf8=En hund.\nda.utf8=Hunden.\n", ("da",), "two texts for one recording"),
        ("A dog.\nda.utf8=En hund.\nda.utf8=En hund.\n", ("da",), ""),
    ],
)
def test_what_makes_no_pair_is_told(stamps, tmp_path, content, langs, fault):
    picture(stamps, "dog", content, *langs)
    assert found(tmp_path, "fault")["dan", "dog"] == fault


def test_pictures_of_one_english_name_are_one_unit_and_others_are_not(stamps, tmp_path):
    picture(stamps, "a", "A Dog!\nda.utf8=En hund.", "da")
    picture(stamps, "b", "a dog\nda.utf8=Hunden.", "da")
    picture(stamps, "c", "da.utf8=En kat.", "da")
    picture(stamps, "d", "fr.utf8=Un chat.", "fr")
    assert set(found(tmp_path, "unit").values()) == {"picture/a dog", "picture/c", "picture/d"}


def test_another_encoding_is_refused_with_its_line(stamps, tmp_path):
    (stamps / "dog.txt").write_bytes(b"A dog.\nda.utf8=Bj\xf8rn\n")
    with pytest.raises(UserError, match=r"dog.txt:2 is not UTF-8"):
        found(tmp_path)


def test_a_folder_without_stamps_is_refused(tmp_path):
    with pytest.raises(UserError, match="Add tuxpaint-stamps-default, or omit --data_source"):
        found(tmp_path)
