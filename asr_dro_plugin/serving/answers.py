"""A transcript as the answers of the routes: words, segments, OpenAI's formats; plain data."""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcripts.files import content_of
from asr_dro_plugin.transcripts.subtitles import units_of_cues
from asr_dro_plugin.transcripts.transcript import Transcript, Unit

# Name of a format of OpenAI's that is no JSON -> ours, and its media type.
PLAIN = {
    "text": ("txt", "text/plain"),
    "srt": ("srt", "application/x-subrip"),
    "vtt": ("vtt", "text/vtt"),
}
SEEK_RATE = 100  # frames a second of Whisper's ``seek``
LEAST_CONFIDENCE = 1e-6  # whose logarithm is finite
UNKNOWN = "unknown"  # language of a model that names none


def text_of(transcript: Transcript) -> str:
    """The text without its language tag."""
    return split_tag(transcript.text)[1]


def words_of(transcript: Transcript) -> list[Unit]:
    """The words, their times inside of the recording and never going back."""
    end = transcript.duration if transcript.duration is not None else math.inf
    words, before = [], 0.0
    for word in transcript.best.words:
        first = min(max(word.start, before), end)
        words.append(Unit(word.text, first, min(max(word.end, first), end), word.confidence))
        before = first
    return words


def chunks(transcript: Transcript) -> list[dict]:
    """Each word as ``{text, timestamp: [start, end], confidence}``; the texts joined are the text.

    So all but the first begin with a space, as in transformers' pipeline.
    """
    text, place, found = text_of(transcript), 0, []
    words = words_of(transcript)
    for number, word in enumerate(words):
        start = text.find(word.text, place)
        end = start + len(word.text) if start >= 0 else place
        end = len(text) if number == len(words) - 1 else end
        found.append({
            "text": text[place:end] if start >= 0 else word.text,
            "timestamp": [_seconds(word.start), _seconds(word.end)],
            "confidence": round(word.confidence, 4),
        })  # fmt: skip
        place = end
    return found


def transcribed(transcript: Transcript, filename: str, model: str) -> dict:
    """The answer of ``POST /transcribe``."""
    text = text_of(transcript)
    return {
        "filename": filename, "text": text, "transcript": text, "chunks": chunks(transcript),
        "language": transcript.lang, "duration": transcript.duration, "model": model,
    }  # fmt: skip


def plain(transcript: Transcript, response_format: str) -> str:
    """The text, or subtitles, of a format in ``PLAIN``."""
    if response_format == "text":
        return text_of(transcript) + "\n"
    return content_of(PLAIN[response_format][0], transcript)


def openai_json(transcript: Transcript) -> dict:
    """``response_format`` json."""
    return {
        "text": text_of(transcript),
        "languages": languages(transcript),
        "usage": _usage(transcript),
    }


def verbose_json(
    transcript: Transcript, granularities: Sequence[str], known: Sequence[str] = ()
) -> dict:
    """``response_format`` verbose_json.

    Args:
        transcript: with words.
        granularities: some of ``word`` and ``segment``; none is segments.
        known: the model's languages, of which a single one is the transcript's.
    """
    alone = known[0] if len(known) == 1 else UNKNOWN
    answer = {
        "task": "transcribe",
        "language": transcript.lang or alone,
        "duration": transcript.duration or 0.0,
        "text": text_of(transcript),
        "usage": _usage(transcript),
        "words": None,
        "segments": None,
    }
    if "word" in granularities:
        answer["words"] = [
            {"word": word.text, "start": _seconds(word.start), "end": _seconds(word.end),
             "confidence": round(word.confidence, 4)}
            for word in words_of(transcript)
        ]  # fmt: skip
    if "segment" in granularities or not granularities:
        answer["segments"] = segments(transcript)
    return answer


def segments(transcript: Transcript) -> list[dict]:
    """Stretches of words, as subtitles part them, in the fields of Whisper's segments.

    ``avg_logprob`` is the mean logarithm of the words' confidence, ``compression_ratio`` Whisper's
    measure of repetition; ``no_speech_prob``, ``temperature`` and ``tokens`` have no meaning here.
    """
    best = replace(transcript.best, words=tuple(words_of(transcript)))
    return [_segment(number, group) for number, group in enumerate(units_of_cues(best))]


def _segment(number: int, group: Sequence[tuple[Unit, bool]]) -> dict:
    units = [unit for unit, _ in group]
    text = "".join(" " * space + unit.text for unit, space in group).strip()
    logs = [math.log(max(unit.confidence, LEAST_CONFIDENCE)) for unit in units]
    data = text.encode()
    return {
        "id": number, "seek": round(SEEK_RATE * units[0].start),
        "start": _seconds(units[0].start), "end": _seconds(units[-1].end), "text": text,
        "tokens": [], "temperature": 0.0, "avg_logprob": round(sum(logs) / len(logs), 4),
        "compression_ratio": round(len(data) / len(zlib.compress(data)), 4),
        "no_speech_prob": 0.0,
    }  # fmt: skip


def languages(transcript: Transcript) -> list[dict]:
    """``[{"code": ...}]``, none where the model names none."""
    return [{"code": transcript.lang}] if transcript.lang else []


def model_card(name: str, facts: Mapping, created: int) -> dict:
    """An item of ``/v1/models``: OpenAI's fields and the facts of the model's card."""
    kept = ("languages", "sample_rate", "frame_shift", "stack", "num_parameters", "licence",
            "default_precision", "training")  # fmt: skip
    facts = {key: facts[key] for key in kept if key in facts}
    return {"id": name, "object": "model", "created": created, "owned_by": "asr-dro", **facts}


def _usage(transcript: Transcript) -> dict:
    return {"type": "duration", "seconds": transcript.duration or 0.0}


def _seconds(value: float) -> float:
    return round(value, 3)
