"""One transcript of a recording from its stretches: words keep times, the main language leads."""

from dataclasses import replace

from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit, join_transcripts


def piece(text, lang=None, duration=1.0, fault="", start=0.0):
    words = tuple(Unit(w, start + n, start + n + 0.5, 0.5) for n, w in enumerate(text.split()))
    body = Hypothesis(f"[{lang}] {text}".strip() if lang else text, -1.0, -0.5, None, words, words)
    return Transcript("piece", (body, Hypothesis("other", -9.0)), lang, duration, fault)


def test_texts_follow_each_other_with_the_language_of_most_speech():
    pieces = [piece("a b", "eng", 1.0), piece("c", "deu", 5.0, start=7.0), piece("", "eng", 30.0)]
    joined = join_transcripts("rec", 40.0, pieces)
    assert (joined.utt_id, joined.duration, joined.lang) == ("rec", 40.0, "deu")
    assert joined.text == "[deu] a b c"
    assert [(word.text, word.start) for word in joined.best.words] == [
        ("a", 0.0), ("b", 1.0), ("c", 7.0),
    ]  # fmt: skip
    assert (joined.best.score, joined.best.am_score, joined.best.lm_score) == (-3.0, -1.5, None)


def test_without_tags_none_is_added():
    assert join_transcripts("rec", 2.0, [piece("a"), piece("b")]).text == "a b"


def test_pieces_with_a_fault_add_nothing():
    joined = join_transcripts("rec", 2.0, [piece("", fault="too short"), piece("b", "eng")])
    assert (joined.text, joined.fault) == ("[eng] b", "")


def test_where_all_have_a_fault_so_has_the_recording():
    joined = join_transcripts("rec", 2.0, [piece("", fault="too short")])
    assert (joined.text, joined.fault) == ("", "too short")


def test_no_speech_is_an_empty_text():
    joined = join_transcripts("rec", 2.0, [])
    assert (joined.text, joined.fault) == ("", "")


def test_what_was_ended_early_in_a_piece_was_in_the_recording():
    cut = replace(piece("b", "eng"), ended_early="it repeats itself")
    assert join_transcripts("rec", 3.0, [piece("a", "eng"), cut]).ended_early == "it repeats itself"
    assert join_transcripts("rec", 3.0, [piece("a", "eng")]).ended_early == ""
