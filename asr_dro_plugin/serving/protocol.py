"""What the front says to the pool and the pool to the front: plain data, JSON on the wire.

A ``Job`` goes out with the descriptor of its audio; events come back, the last of which is ``Done``
or ``Failed``.  Neither holds a name that a client gave.
"""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Job:
    """One recording to be transcribed.

    Args:
        id: the request's id, for the log.
        model: name of a served model.
        language: None decides freely, a code forces, several codes are a choice (ISO 639-3).
        vad: whether silence is left out; times stay those of the recording.
        times: whether words with times are asked for.
        kind: ``transcribe``, or ``live`` (``live_wire``), whose descriptor is a socket.
    """

    id: str
    model: str
    language: str | list[str] | None = None
    vad: bool = False
    times: bool = True
    kind: str = "transcribe"


@dataclass(frozen=True)
class Partial:
    """How far a recording is.

    Args:
        seconds_done: seconds of audio that are decoded.
        duration: seconds of the recording, None while unknown.
        text: all that is final so far.
        words: words that became final since the last event: text, start, end, confidence.
    """

    seconds_done: float
    duration: float | None
    text: str
    words: list[dict] = field(default_factory=list)


@dataclass(frozen=True)
class Done:
    """A recording's transcript.

    Args:
        transcript: ``transcripts.transcript.Transcript`` as a mapping.
        duration: seconds of the recording.
        model: name of the model.
    """

    transcript: dict
    duration: float
    model: str


@dataclass(frozen=True)
class Failed:
    """Why there is no transcript.

    Args:
        status: HTTP status: 4xx where the audio or the request is the cause, else 5xx.
        code: a word for programs, as ``invalid_audio``.
        message: one line: fact, remedy.
        param: the field of the request that is the cause.
    """

    status: int
    code: str
    message: str
    param: str | None = None


Event = Partial | Done | Failed
INTERNAL = Failed(500, "internal_error", "The service failed on this request; its log says why.")
_KINDS = {"job": Job, "partial": Partial, "done": Done, "failed": Failed}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Busy(Exception):
    """The queue is full.

    Args:
        retry_after: whole seconds (1 to 60) after which a client may ask again.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full, retry after {retry_after} s")
        self.retry_after = retry_after


class Draining(Exception):
    """The service is going down and takes nothing new."""


def encode(message: Job | Event) -> bytes:
    """One line of JSON, its newline included."""
    data = {"type": _NAMES[type(message)], **asdict(message)}
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Job | Event:
    """The message of a line that ``encode`` wrote.

    Raises:
        ValueError: the line is not whole, or no message.
    """
    data = json.loads(line)
    try:
        return _KINDS[data.pop("type")](**data)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a message of the service: {error}") from None
