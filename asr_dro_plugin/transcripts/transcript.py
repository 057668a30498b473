"""What a recogniser says of an utterance: the n best texts, their words and characters with times.

Every decoder ends here, and every writer (Kaldi ``text``, ``ctm``, JSONL, subtitles) begins here.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.text.normalizers import add_tag, split_tag


@dataclass(frozen=True)
class Unit:
    """A word or a character: seconds from the beginning of the original audio, confidence 0..1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """One text for an utterance.

    Args:
        text: as the model spells it, the language tag first where it writes one.
        score: natural logarithm, all that the decoder added up; larger is better.
        am_score: the acoustic part of it, None where the decoder does not tell.
        lm_score: the language model's log probability, unweighted; None without one.
        words: words in order, without the tag; empty where times were not asked for.
        chars: characters in order, the same way.
    """

    text: str
    score: float
    am_score: float | None = None
    lm_score: float | None = None
    words: tuple[Unit, ...] = ()
    chars: tuple[Unit, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """All that is said of one utterance.

    Args:
        utt_id: its id (or the path of a file).
        hypotheses: the n best, best first; never empty, an empty text is legal.
        lang: the language decided on or given (ISO 639-3), None where the model knows none.
        duration: seconds of audio, None where unknown.
        fault: why there is no text (unreadable audio, too short), else empty.
        ended_early: why the text, or a piece's, was ended before the model ended it (it repeats
            itself, it is longer than can be said in its time), else empty.
    """

    utt_id: str
    hypotheses: tuple[Hypothesis, ...]
    lang: str | None = None
    duration: float | None = None
    fault: str = ""
    ended_early: str = ""

    @property
    def best(self) -> Hypothesis:
        """The best hypothesis."""
        return self.hypotheses[0]

    @property
    def text(self) -> str:
        """The best hypothesis' text."""
        return self.hypotheses[0].text


def to_json(transcript: Transcript) -> str:
    """One line of JSON, keys in the order of the fields; floats are finite."""
    return json.dumps(transcript, default=vars, ensure_ascii=False, allow_nan=False)


def from_json(line: str) -> Transcript:
    """The transcript of a line that ``to_json`` wrote.

    Raises:
        ValueError: the line is not whole, or not a transcript.
    """
    return from_mapping(json.loads(line))


def from_mapping(data: Mapping) -> Transcript:
    """The transcript of a mapping as JSON holds it; words and characters may be left out.

    Raises:
        ValueError: it is not a transcript's.
    """
    try:
        hypotheses = tuple(_hypothesis(each) for each in data["hypotheses"])
        return Transcript(**{**data, "hypotheses": hypotheses})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a transcript: {error}") from None


def _hypothesis(data: Mapping) -> Hypothesis:
    words, chars = (tuple(Unit(**unit) for unit in data.get(key, ())) for key in ("words", "chars"))
    return Hypothesis(**{**data, "words": words, "chars": chars})


def join_transcripts(
    utt_id: str, duration: float | None, pieces: Sequence[Transcript]
) -> Transcript:
    """One transcript of a recording from those of its stretches of speech.

    Best texts one after the other, the language that most seconds of speech have before them.
    The words keep their times, which must be of the recording already.  Scores are added up; of the
    n best only the best are joined.  Pieces with a fault (too short to say anything) add nothing;
    where all have one, so has the recording.
    """
    spoken = [piece for piece in pieces if not piece.fault]
    if not spoken:
        fault = pieces[0].fault if pieces else ""
        return Transcript(utt_id, (Hypothesis("", 0.0),), None, duration, fault)
    lang = main_language(spoken) or spoken[0].lang
    best = [piece.best for piece in spoken]
    text = " ".join(filter(None, (split_tag(each.text)[1] for each in best)))
    if lang and any(split_tag(each.text)[0] for each in best):
        text = add_tag(lang, text)
    hypothesis = Hypothesis(
        text,
        sum(each.score for each in best),
        _total([each.am_score for each in best]),
        _total([each.lm_score for each in best]),
        tuple(word for each in best for word in each.words),
        tuple(char for each in best for char in each.chars),
    )
    return Transcript(utt_id, (hypothesis,), lang, duration, ended_early=first_ended_early(spoken))


def first_ended_early(pieces: Sequence[Transcript]) -> str:
    """Why the first of the pieces that were ended early was; empty where none was."""
    return next((piece.ended_early for piece in pieces if piece.ended_early), "")


def main_language(pieces: Sequence[Transcript]) -> str | None:
    """The language that most seconds of speech have; None where nothing is said."""
    seconds: Counter[str] = Counter()
    for piece in pieces:
        if piece.lang and split_tag(piece.text)[1]:
            seconds[piece.lang] += piece.duration or 0.0
    return max(seconds, key=seconds.get, default=None)


def _total(scores: Sequence[float | None]) -> float | None:
    return None if None in scores else sum(scores)
