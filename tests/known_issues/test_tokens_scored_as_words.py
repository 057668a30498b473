"""Files of tokens (sentencepiece's pieces, BPE, characters) and sclite's notation were scored as if
every token, ``<space>``, ``/`` and ``;;`` were a word, and gave error rates that meant nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.bin.score import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.notations import words_of
from asr_dro_plugin.scoring.read_texts import read_hypotheses, read_reference

WORDS = {"u1": "[eng] hello to the world", "u2": "well I am", "u3": ""}
WORD = st.text(st.sampled_from("abcéя日"), min_size=1, max_size=5)


def in_pieces(word):
    return [word[:2], word[2:]] if len(word) > 2 else [word]


def tokens(text, kind):
    words = text.split()
    parts = [in_pieces(word) for word in words]
    return " ".join(
        {
            "pieces": [("▁" if n == 0 else "") + p for ps in parts for n, p in enumerate(ps)],
            "bpe": [
                p + ("@@" if n < len(ps) - 1 else "") for ps in parts for n, p in enumerate(ps)
            ],
            "word pieces": [("##" if n else "") + p for ps in parts for n, p in enumerate(ps)],
            "characters": list("\0".join(words)),
            "letters": list("|".join(words) + "|") if words else [],
        }[kind]
    ).replace("\0", "<space>")


KINDS = ("pieces", "bpe", "word pieces", "characters", "letters")


def as_tokens(text, kind):
    tag, words = (text[:6], text[6:]) if text.startswith("[") else ("", text)
    return (tag + tokens(words, kind)).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_tokens_are_read_as_words_and_it_is_said(tmp_path, kind, caplog):
    texts = {utt_id: as_tokens(text, kind) for utt_id, text in WORDS.items()}
    (tmp_path / "text").write_text("".join(f"{u} {t}\n" for u, t in texts.items()))
    (tmp_path / "hyp.trn").write_text("".join(f"{t} ({u})\n" for u, t in texts.items()))
    lines = [json.dumps({"id": u, "text": t}) + "\n" for u, t in texts.items()]
    (tmp_path / "hyp.jsonl").write_text("".join(lines))
    for name in ("text", "hyp.trn", "hyp.jsonl"):
        caplog.clear()
        assert read_reference(tmp_path / name) == WORDS
        assert read_hypotheses(tmp_path / name).texts == WORDS
        assert "joined to words" in caplog.text and kind.split()[0] in caplog.text.lower()


@given(st.lists(st.lists(WORD, max_size=4), min_size=1, max_size=4), st.sampled_from(KINDS))
def test_whatever_the_words_their_tokens_give_them_back(texts, kind):
    plain = {f"u{n}": " ".join(words) for n, words in enumerate(texts)} | {"long": "abcé aé abc"}
    made = {utt_id: tokens(text, kind) for utt_id, text in plain.items()}
    assert words_of(made, "x") == plain


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁#@|{<"))))
def test_words_are_left_as_they_are(texts):
    given = {f"u{n}": text for n, text in enumerate(texts)}
    assert words_of(given, "x") == given


@pytest.mark.parametrize("text", ["a | b", "well, @@ so", "# 1 and ##", "x {a} 5 / 3", "a@@b (uh)"])
def test_marks_in_ordinary_text_are_no_tokens(tmp_path, text, caplog):
    (tmp_path / "text").write_text(f"u1 {text} word\n")
    assert read_reference(tmp_path / "text") == {"u1": f"{text} word"}
    assert not caplog.records


def test_comments_of_sclite_are_passed_over(tmp_path):
    (tmp_path / "ref").write_text(";; LABEL a\na b (u1)\n;;\nc (u2)\n;; d (u3)\n")
    assert read_reference(tmp_path / "ref") == {"u1": "a b", "u2": "c"}
    (tmp_path / "text").write_text(";; made today\nu1 a b\n")
    assert read_hypotheses(tmp_path / "text").texts == {"u1": "a b"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("r.trn", "a { b / c } (u1)\n", "'u1' has sclite's alternatives '{ b / c }'"),
        ("r.trn", "a {b / @} d (u1)\n", "sclite's alternatives '{b / @}'"),
        ("text", "u1 a { i'm / i am } b\n", "'u1' has sclite's alternatives"),
        ("r.trn", "a b (u0)\n(uh) a (u1)\n", "r.trn:2 has sclite's optional word '(uh)'"),
        ("r.trn", "a (uh) b (u1)\n", "r.trn:1 has sclite's optional word '(uh)'"),
        ("r.trn", ";; x\na (%hes) (u1)\n", "r.trn:2 has sclite's optional word '(%hes)'"),
    ],
)
def test_alternatives_and_optional_words_are_of_references_alone(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        read_hypotheses(tmp_path / name)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    read_reference(tmp_path / name)


def letters(text):
    return " ".join(text.replace(" ", ""))


@pytest.mark.parametrize("spelled", ["ref", "hyp"])
def test_letters_without_words_are_refused_on_either_side(tmp_path, spelled):
    texts = {"u1": "hello to the world", "u2": "здравствуй мир"}
    for side in ("ref", "hyp"):
        lines = [f"{u} {letters(t) if side == spelled else t}\n" for u, t in texts.items()]
        (tmp_path / side).write_text("".join(lines))
    with pytest.raises(UserError, match=f"{spelled} has single letters.*Write <space>"):
        main([str(tmp_path / "ref"), str(tmp_path / "hyp")])


def test_letters_that_are_meant_are_scored(tmp_path, capsys):
    (tmp_path / "spelled").write_text("u1 a b c d e f g h i j k l\n")
    assert main([str(tmp_path / "spelled"), str(tmp_path / "spelled")]) == 0
    (tmp_path / "ref").write_text("u1 你好世界我们今天去学校吧\n")
    (tmp_path / "hyp").write_text("u1 你 好 世 界 我 们 今 天 去 学 校 吧\n")
    (tmp_path / "utt2lang").write_text("u1 cmn\n")
    assert main([str(tmp_path / "ref"), str(tmp_path / "hyp")]) == 0


def test_the_score_of_tokens_is_that_of_their_words(tmp_path, capsys):
    (tmp_path / "ref").write_text("u1 hello to the world\n")
    (tmp_path / "hyp").write_text("u1 ▁hel lo ▁two ▁the ▁wor ld\n")
    (tmp_path / "words").write_text("u1 hello two the world\n")
    found = []
    for name in ("hyp", "words"):
        main([str(tmp_path / "ref"), str(tmp_path / name)])
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
