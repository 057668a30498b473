"""Cues can be read: short, apart, cut at pauses, and all words are in them."""

from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.transcripts import subtitles
from asr_dro_plugin.transcripts.subtitles import cues, srt, vtt
from asr_dro_plugin.transcripts.transcript import Hypothesis, Unit


def spoken(words, gap=0.1, length=0.3, begin=0.0):
    """Words of ``length`` seconds each with ``gap`` between them, as a hypothesis."""
    units, chars, start = [], [], begin
    for word in words:
        units.append(Unit(word, start, start + length, 0.9))
        step = length / len(word)
        chars += [
            Unit(c, start + n * step, start + (n + 1) * step, 0.9) for n, c in enumerate(word)
        ]
        start += length + gap
    return Hypothesis(" ".join(words), -1.0, words=tuple(units), chars=tuple(chars))


TIMED = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=12), st.floats(0, 2), st.floats(0, 1.5)),
    max_size=40,
)


@given(TIMED)
def test_cues_hold_every_word_in_order_and_never_overlap(timed):
    units, start = [], 0.0
    for text, gap, length in timed:
        units.append(Unit(text, start + gap, start + gap + length, 1.0))
        start += gap + length
    made = cues(Hypothesis("", 0.0, words=tuple(units)))
    assert " ".join(" ".join(cue.lines) for cue in made).split() == [text for text, _, _ in timed]
    for cue in made:
        assert len(cue.lines) <= 2 and max(map(len, cue.lines)) <= subtitles.LINE_CHARS
        assert cue.start <= cue.end
    for one, two in zip(made, made[1:], strict=False):
        assert one.end <= two.start


def test_a_pause_ends_a_cue():
    first, second = spoken(["one", "two"]), spoken(["three"], begin=2.0)
    made = cues(Hypothesis("", 0.0, words=first.words + second.words))
    assert [cue.lines for cue in made] == [("one two",), ("three",)]
    assert made[0].end == 1000 and (made[1].start, made[1].end) == (2000, 3000)  # a second at least


def test_a_cue_lasts_no_longer_than_can_be_followed():
    made = cues(spoken(["ab"] * 30, gap=0.4, length=0.5))
    assert len(made) > 1
    assert all(cue.end - cue.start <= 1000 * subtitles.MAX_SECONDS for cue in made)


def test_two_lines_are_of_like_lengths():
    (cue,) = cues(spoken(["seven77"] * 7, gap=0.0))
    assert [len(line) for line in cue.lines] == [23, 31]


def test_a_script_without_spaces_is_cut_between_characters():
    text = "漢字" * 60
    made = cues(spoken([text], length=30.0))
    assert "".join("".join(cue.lines) for cue in made) == text
    assert len(made) >= 5
    assert all(cue.end - cue.start <= 7000 and len(cue.lines) <= 2 for cue in made)
    assert all(len(line) <= subtitles.LINE_CHARS for cue in made for line in cue.lines)


def test_srt_has_numbers_and_commas():
    assert srt(spoken(["ja", "nein"], begin=3661.5)) == (
        "1\n01:01:01,500 --> 01:01:02,500\nja nein\n\n"
    )


def test_vtt_has_a_header_points_and_escapes():
    assert vtt(spoken(["<unk>", "a&b"])) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n&lt;unk> a&amp;b\n\n"
    )


def test_no_words_are_no_cues():
    nothing = Hypothesis("", 0.0)
    assert (srt(nothing), vtt(nothing)) == ("", "WEBVTT\n\n")
