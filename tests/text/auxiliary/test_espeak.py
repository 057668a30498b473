"""espeak-ng as a library: its data, its voices, and what it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary.espeak import Espeak

OTHER_DATA = """
import sys
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary.espeak import Espeak
try:
    espeak = Espeak(sys.argv[1], sys.argv[2])
    print(espeak.use("fr", "fr"), espeak.phonemes("le chat"))
except UserError as error:
    print(error)
"""


def said_with(data: Path) -> str:
    """What a process of its own reads with these data: the library has one state a process."""
    wheel = pytest.importorskip("espeakng_loader")
    words = [sys.executable, "-c", OTHER_DATA, wheel.get_library_path(), str(data)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_data_in_a_folder_of_a_long_name_are_read(espeak, tmp_path):
    """The library cuts names off at 160 bytes, and goes to where its maker had the data."""
    deep = tmp_path.joinpath(*["a" * 60] * 3)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeak.data)
    assert said_with(deep / "espeak-ng-data") == "True l_ə- ʃ_ˈa"


def test_a_folder_without_its_data_is_refused_and_no_others_are_taken(espeak, tmp_path):
    said = said_with(tmp_path / "none")
    assert said.startswith(f"espeak-ng does not find its data in {tmp_path}/none. Install it: ")


@pytest.mark.parametrize("voice", [("xx", "xx"), ("fr", "no"), ("fo", "fo"), ("zh-none", "cmn")])
def test_a_voice_that_is_not_there_or_has_no_words_is_not_used(espeak, voice):
    expected = Path(espeak.data, f"{voice[1]}_dict").is_file() and voice[0] == "fr"
    assert espeak.use(*voice) is expected


def test_every_clause_of_a_text_is_read(espeak):
    espeak.use("en-us", "en")
    assert espeak.phonemes("hello, world. yes").split() == ["h_ə_l_ˈoʊ", "w_ˈɜː_l_d", "j_ˈɛ_s"]
    assert espeak.phonemes("") == ""


def test_a_file_that_is_no_library_is_refused_with_what_to_install(tmp_path):
    (tmp_path / "libespeak-ng.so").write_text("cut")
    with pytest.raises(UserError, match=r"so cannot be loaded \(.*Install it: .*espeak-ng"):
        Espeak(str(tmp_path / "libespeak-ng.so"), None)
