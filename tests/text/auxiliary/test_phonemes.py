"""Phonemes as units: what is one, what goes, and which words keep their letters."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asr_dro_plugin.text.auxiliary.phonemes import Phonemizer, units_of
from asr_dro_plugin.text.auxiliary.voices import read_voices


@pytest.mark.parametrize(
    "said, units",
    [
        ("dʒ_ˈʌ_dʒ tʃ_ˈɛɹ_z", "dʒ ʌ dʒ tʃ ɛɹ z"),  # affricates are one
        ("p_ˈi_tsː_a f_ˈaɪɚ", "p i tsː a f aɪɚ"),  # and so are long ones and diphthongs
        ("l_ə- (en)_f_ˈʊ_t_b_ɔː_l_(fr)", "l ə f ʊ t b ɔː l"),  # another voice leaves no mark
        ("p__rʲ_i_vʲ_ˈe_t", "p rʲ i vʲ e t"),  # espeak-ng doubles its separator now and then
        ("n_i2_χ_ˈɑu2_", "n i2 χ ɑu2"),  # tones stay
        ("uˈɐ ɾʲˌʲ", "uɐ ɾʲʲ"),  # stress amid a phoneme
        ("c\u0327_a", "ç a"),  # one spelling of each
        ("", ""),
    ],
)
def test_units_are_espeaks_phonemes_without_stress_and_marks(said, units):
    assert units_of(said) == units.split()


@example("(ˈen)a(e-n)b")
@given(st.text(alphabet="_ ˈˌ-()enaɪtʃː̃ʲ2", max_size=30))
def test_no_unit_is_empty_or_holds_a_separator_a_stress_or_a_voice(said):
    for unit in units_of(said):
        assert unit and not re.search(r"[_\sˈˌ-]|\([a-z]+\)", unit)


@pytest.fixture
def phonemizer(espeak, recipe):
    """``phonemizer(lang)``, its voice in use."""

    def made(lang: str) -> Phonemizer:
        voice = read_voices()[lang]
        assert espeak.use(voice.name, voice.dictionary)
        return Phonemizer(espeak, voice)

    return made


@pytest.mark.parametrize(
    "lang, text, units",
    [
        ("eng", "judge 42", "dʒ ʌ dʒ f ɔːɹ ɾ i t uː"),  # digits are read
        ("fra", "le football", "l ə f ʊ t b ɔː l"),  # a loan word by the voice of its language
        ("deu", "zwölf", "ts v œ l f"),
        ("nor", "hei", "h aɪ"),
        ("cmn", "你好", "n i2 χ ɑu2"),
        ("srp", "здраво zdravo", "z d r a v o z d r a v o"),  # two scripts
    ],
)
def test_a_text_is_read_by_the_voice_of_its_language(phonemizer, lang, text, units):
    reader = phonemizer(lang)
    assert reader(text) == units.split() and not reader.foreign


@pytest.mark.parametrize(
    "lang, text, units, foreign",
    [
        # The voice would say the English names of Cyrillic letters.
        ("eng", "say привет now", "s eɪ п р и в е т n aʊ", {"привет": 1}),
        ("rus", "привет hello hello", "p rʲ i vʲ e t h e l l o h e l l o", {"hello": 2}),
        # In the voice's own script, yet unknown to it: it says "Chinese letter" in English.
        ("kor", "안녕 世界", "ɐ n n j ʌ ŋ 世 界", {"世界": 1}),
    ],
)
def test_a_word_that_the_voice_would_spell_keeps_its_letters(
    phonemizer, lang, text, units, foreign
):
    reader = phonemizer(lang)
    assert reader(text) == units.split() and reader.foreign == foreign
