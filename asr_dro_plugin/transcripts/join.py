"""One transcript of a recording from those of its stretches of speech."""

from collections import Counter
from collections.abc import Sequence

from asr_dro_plugin.text.normalizers import add_tag, split_tag
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript


def join_transcripts(
    utt_id: str, duration: float | None, pieces: Sequence[Transcript]
) -> Transcript:
    """Best texts one after the other, the language that most seconds of speech have before them.

    The words keep their times, which must be of the recording already.  Scores are added up; of the
    n best only the best are joined.  Pieces with a fault (too short to say anything) add nothing;
    where all have one, so has the recording.
    """
    spoken = [piece for piece in pieces if not piece.fault]
    if not spoken:
        fault = pieces[0].fault if pieces else ""
        return Transcript(utt_id, (Hypothesis("", 0.0),), None, duration, fault)
    seconds: Counter[str] = Counter()
    for piece in spoken:
        if piece.lang and split_tag(piece.text)[1]:
            seconds[piece.lang] += piece.duration or 0.0
    lang = max(seconds, key=seconds.get, default=spoken[0].lang)
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
    return Transcript(utt_id, (hypothesis,), lang, duration)


def _total(scores: Sequence[float | None]) -> float | None:
    return None if None in scores else sum(scores)
