"""The answers and errors of the routes, for the OpenAPI page; nothing is checked against them."""

from collections.abc import Mapping

from pydantic import BaseModel, Field


class ErrorFacts(BaseModel):
    """What is wrong with a request."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The form of every error."""

    error: ErrorFacts


class ChunkAnswer(BaseModel):
    """A word with its times in the recording; all but the first begin with a space."""

    text: str
    timestamp: tuple[float, float] = Field(description="start and end in seconds")
    confidence: float


class Transcribed(BaseModel):
    """A transcript."""

    filename: str
    text: str
    transcript: str
    chunks: list[ChunkAnswer]
    language: str | None
    duration: float | None
    model: str


class LanguageCode(BaseModel):
    """A language by its code, ISO 639-3."""

    code: str


class Usage(BaseModel):
    """Seconds of audio."""

    type: str
    seconds: float


class Transcription(BaseModel):
    """OpenAI's answer of response_format json."""

    text: str
    languages: list[LanguageCode]
    usage: Usage


class Word(BaseModel):
    """A word with its times in seconds."""

    word: str
    start: float
    end: float
    confidence: float


class SegmentAnswer(BaseModel):
    """A stretch of words in the fields of Whisper's segments."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class TranscriptionVerbose(BaseModel):
    """OpenAI's answer of response_format verbose_json."""

    task: str
    language: str
    duration: float
    text: str
    usage: Usage
    words: list[Word] | None
    segments: list[SegmentAnswer] | None


class ServedModel(BaseModel, extra="allow"):
    """A served model with facts of its card."""

    id: str
    object: str
    created: int
    owned_by: str


class ServedModels(BaseModel):
    """All served models."""

    object: str
    data: list[ServedModel]


class Status(BaseModel):
    """How the service is."""

    status: str


class ConfigAnswer(BaseModel, extra="allow"):
    """A model's configuration; of the status alone while models are loading."""

    status: str


MEANINGS = {
    400: "A field or the recording cannot be what it is",
    401: "The API key is missing or wrong",
    403: "A page of another site asks",
    404: "No such model",
    408: "The body stands still",
    413: "The upload or a field is too large",
    415: "No multipart form",
    500: "A fault of the service",
    503: "Loading, queue full or going down; Retry-After says when to ask again",
}
UPLOAD_ERRORS = (400, 403, 404, 408, 413, 415, 500, 503)
_RETRY = {"Retry-After": {"schema": {"type": "integer", "minimum": 1, "maximum": 60}}}


def responses(
    *statuses: int, public: bool = False, others: Mapping[int, dict] | None = None
) -> dict[int | str, dict]:
    """FastAPI's ``responses``: errors of some statuses, and answers of other forms.

    Args:
        public: whether no key is needed.
    """
    numbers = statuses if public else (401, *statuses)
    found: dict[int | str, dict] = {
        number: {"model": ErrorAnswer, "description": MEANINGS[number]} for number in numbers
    }
    found |= others or {}
    if 503 in found:
        found[503] = {**found[503], "headers": _RETRY}
    return found


_TEXT = {"type": "string"}
_LIST = {"type": "array", "items": _TEXT}
_SWITCH = {"type": "string", "enum": ["true", "false"]}
FILE = {"type": "string", "format": "binary", "description": "the recording; any audio or video"}
JOB_FIELDS: dict[str, dict] = {
    "model": _TEXT | {"description": "may be left out where one model is served"},
    "language": _TEXT | {"description": "ISO 639-3 or 639-1; auto leaves it to the model"},
    "languages[]": _LIST | {"description": "languages that it may be"},
    "vad": _SWITCH | {"description": "leave silence out; times stay those of the recording"},
    "stream": _SWITCH | {"description": "an event at a time"},
}


def form(fields: Mapping[str, Mapping]) -> dict:
    """``openapi_extra`` of a route that takes a multipart form with a file and these fields."""
    schema = {
        "type": "object", "required": ["file"], "additionalProperties": False,
        "properties": {"file": FILE, **fields},
    }  # fmt: skip
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {
        "schema": schema}}}}  # fmt: skip
