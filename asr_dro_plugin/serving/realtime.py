"""OpenAI's realtime interface, for transcription: a client's events in, ours out; no socket here.

What differs from OpenAI's: text comes while someone speaks, so ``delta`` events precede the item's
``committed``; 16 kHz are taken beside 24 kHz; ``completed`` has ``words`` with times, in seconds of
the session.  What would be without effect is refused, but for ``prompt`` and its like.

One ``Conversation`` is one connection.  ``heed`` takes a client's message, ``said`` a worker's;
both give events for the client and leave frames for the worker in ``to_worker``.

What public reports taught: a sample may be split between two messages
(huggingface/speech-to-speech#410), too much sound or an empty commit is an error event and no end
(sgl-project/sglang-omni#706), and what was said last is told before the service closes
(alumae/kaldi-gstreamer-server#161).
"""

import base64
import binascii
import json
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from asr_dro_plugin.errors import in_one_line, suggestion
from asr_dro_plugin.serving.errors import ApiError, bad_request
from asr_dro_plugin.serving.live_wire import (
    AUDIO,
    CLEAR,
    COMMIT,
    LiveSettings,
    frames,
    settings_frame,
)
from asr_dro_plugin.serving.options import known_languages, language_code, no_such_model

RATES = (24000, 16000)  # Hz; the first is the default
SHORTEST = 0.1  # seconds that can be committed
LONGEST_ID = 512
SILENCE_MS, THRESHOLD = 500, 0.5  # OpenAI's defaults
SILENCES = (200, 10_000)  # ms
OF_CONVERSATIONS = ("conversation.", "response.", "output_audio_buffer.", "transcription_session.")
FIELDS = {  # of session.update -> what is known there; None: anything, without effect
    "session": ("type", "audio", "include"),
    "session.audio": ("input",),
    "session.audio.input": ("format", "transcription", "turn_detection", "noise_reduction"),
    "session.audio.input.format": ("type", "rate"),
    "session.audio.input.transcription": ("model", "language", "languages", "prompt", "delay",
                                          "keywords"),
    "session.audio.input.turn_detection": ("type", "threshold", "silence_duration_ms",
                                           "prefix_padding_ms", "create_response",
                                           "interrupt_response", "idle_timeout_ms"),
}  # fmt: skip
INPUT = "session.audio.input"


@dataclass
class LiveItem:
    """What one ``completed`` will hold."""

    id: str
    is_committed: bool = False
    has_text: bool = False


class Conversation:
    """See the module.

    Args:
        models: name -> facts of each served model.
        model: the one that the address names, None for none.

    Attributes:
        to_worker: frames for the worker, to be sent in order and taken away.
        model: the model in use; fixed once there is sound.
        seconds: of sound received.
    """

    def __init__(self, models: Mapping[str, dict], model: str | None) -> None:
        self.models, self.model = models, model
        self.id = _new_id("sess")
        self.to_worker: list[bytes] = []
        self.seconds = self._done = 0.0
        self._settings = LiveSettings(RATES[0], None, SILENCE_MS / 1000, THRESHOLD)
        self._is_begun = False
        self._items: deque[LiveItem] = deque([LiveItem(_new_id("item"))])  # first: the worker's
        self._previous: str | None = None
        self._num_commits, self._is_ending = 0, False  # commits that the worker has not answered

    # The client's side.

    def created(self) -> dict:
        """The first event."""
        return self._event("session.created", session=self._public())

    def heed(self, text: str | bytes) -> list[dict]:
        """Events that answer a client's message; an error is one of them, never an exception."""
        named = None
        try:
            event = _parsed(text)
            named = event.get("event_id") if isinstance(event.get("event_id"), str) else None
            return self._answer(event)
        except ApiError as error:
            return [self.error(error, (named or "")[:LONGEST_ID] or None)]

    def error(self, error: ApiError, event_id: str | None = None) -> dict:
        """An error event."""
        return self._event("error", error={**error.body["error"], "event_id": event_id})

    @property
    def pending(self) -> float:
        """Seconds of sound that no item holds yet."""
        return self.seconds - self._done

    def _answer(self, event: dict) -> list[dict]:
        kind = event.get("type")
        answers = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
        }
        if kind in answers:
            return answers[kind](event)
        if not isinstance(kind, str):
            raise bad_request("The event has no 'type'.", "type", "missing_required_parameter")
        if kind.startswith(OF_CONVERSATIONS):
            message = f"'{in_one_line(kind, 60)}' is of conversations. Sessions here transcribe."
            raise bad_request(message, "type", "unsupported_event")
        known = ", ".join(answers)
        raise bad_request(f"There is no event '{in_one_line(kind, 60)}'."
                          f"{suggestion(kind, answers)} Events: {known}.",
                          "type", "unknown_event")  # fmt: skip

    def _append(self, event: dict) -> list[dict]:
        audio = event.get("audio")
        if not isinstance(audio, str):
            raise bad_request("Append needs 'audio': 16-bit samples in base64.", "audio",
                              "missing_required_parameter")  # fmt: skip
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            raise bad_request("'audio' is no base64.", "audio") from None
        self._begin()
        self.seconds += len(data) / 2 / self._settings.rate
        if data:
            self.to_worker.extend(frames(AUDIO, data))
        return []

    def _begin(self) -> None:
        """The first sound: a model must be chosen, and stays."""
        if self.model is None:
            if len(self.models) > 1:
                raise bad_request(f"Name a model in session.update: {', '.join(self.models)}.",
                                  f"{INPUT}.transcription.model",
                                  "missing_required_parameter")  # fmt: skip
            self.model = next(iter(self.models))
        if not self._is_begun:
            self._is_begun = True
            self.to_worker.append(settings_frame(self._settings))

    def _commit(self, event: dict) -> list[dict]:
        if self.pending < SHORTEST:
            ms = max(0.0, 1000 * self.pending)
            raise bad_request(
                f"Error committing input audio buffer: buffer too small. Expected at least "
                f"{1000 * SHORTEST:.0f}ms of audio, but buffer only has {ms:.2f}ms of audio.",
                None, "input_audio_buffer_commit_empty",
            )  # fmt: skip
        return self._sent_commit()

    def _sent_commit(self) -> list[dict]:
        self.to_worker.extend(frames(COMMIT))
        self._num_commits += 1
        if self._settings.silence is not None:
            return []  # the worker may be about to end an item by itself
        self._done = self.seconds
        return self._committed(self._items[-1])

    def end(self) -> list[dict]:
        """The session ends: what was said and not committed is."""
        self._is_ending = True
        return self._sent_commit() if self._is_begun and self.pending > 0 else []

    def _clear(self, event: dict) -> list[dict]:
        if not self._is_begun:
            return [self._event("input_audio_buffer.cleared")]
        self._done = self.seconds
        self.to_worker.extend(frames(CLEAR))
        return []

    def _update(self, event: dict) -> list[dict]:
        session = event.get("session")
        if not isinstance(session, dict):
            raise bad_request("session.update needs 'session'.", "session",
                              "missing_required_parameter")  # fmt: skip
        model, settings = self._checked(session)
        if self._is_begun and model != self.model:
            raise bad_request("The model cannot be changed once there is sound. Connect anew.",
                              f"{INPUT}.transcription.model")  # fmt: skip
        if self._is_begun and settings != self._settings:
            self.to_worker.append(settings_frame(settings))
        self.model, self._settings = model, settings
        return [self._event("session.updated", session=self._public())]

    def _checked(self, session: dict) -> tuple[str | None, LiveSettings]:
        """Model and settings after an update; nothing is changed where any of it is wrong."""
        _check_fields(session, "session")
        if session.get("type", "transcription") != "transcription":
            raise bad_request("Sessions here are of type 'transcription'.", "session.type")
        if session.get("include"):
            raise bad_request("Log probabilities are not given: 'completed' has words with "
                              "confidences.", "session.include",
                              "unsupported_parameter")  # fmt: skip
        given = _mapping(_mapping(session, "audio", "session"), "input", "session.audio")
        if given.get("noise_reduction") is not None:
            raise bad_request("Noise is not reduced here. Leave it out, or null.",
                              f"{INPUT}.noise_reduction", "unsupported_parameter")  # fmt: skip
        settings = self._settings
        if "format" in given:
            settings = replace(settings, rate=_rate(_mapping(given, "format", INPUT)))
        model = self.model
        if given.get("transcription") is not None:
            model, language = self._transcription(_mapping(given, "transcription", INPUT))
            settings = replace(settings, language=language)
        if "turn_detection" in given:
            settings = replace(settings, **_turns(given["turn_detection"]))
        return model, settings

    def _transcription(self, given: dict) -> tuple[str | None, Any]:
        """The model, and the language or languages."""
        where, model = f"{INPUT}.transcription", given.get("model") or self.model
        if not isinstance(model, str | None) or model not in {*self.models, None}:
            error = no_such_model(str(model), self.models)
            raise bad_request(error.message, f"{where}.model", error.code)
        one, several = given.get("language"), given.get("languages")
        if one is not None and several:
            raise bad_request("Give 'language' or 'languages', not both.", f"{where}.languages")
        if not isinstance(one, str | None) or not isinstance(several, list | None):
            raise bad_request("A language is a code, languages a list of codes.", where)
        name = model or (next(iter(self.models)) if len(self.models) == 1 else None)
        known = known_languages(self.models[name]) if name else []
        if not several:
            return model, one and language_code(one, known, f"{where}.language")
        codes = [language_code(str(word), known, f"{where}.languages") for word in several]
        return model, list(dict.fromkeys(filter(None, codes))) or None

    def _public(self) -> dict:
        """The session as a client sees it."""
        settings, turns, language = self._settings, None, {}
        if settings.silence is not None:
            turns = {"type": "server_vad", "threshold": settings.threshold,
                     "silence_duration_ms": round(1000 * settings.silence)}  # fmt: skip
        if isinstance(settings.language, list):
            language = {"languages": settings.language}
        elif settings.language:
            language = {"language": settings.language}
        return {
            "type": "transcription", "object": "realtime.transcription_session", "id": self.id,
            "audio": {"input": {
                "format": {"type": "audio/pcm", "rate": settings.rate},
                "transcription": {"model": self.model, **language},
                "turn_detection": turns, "noise_reduction": None,
            }},
        }  # fmt: skip

    # The worker's side.

    def said(self, event: dict) -> list[dict]:
        """Events for the client on what a worker says."""
        match event["type"]:
            case "started":
                return [self._of_item("input_audio_buffer.speech_started",
                                      audio_start_ms=round(1000 * event["seconds"]))]  # fmt: skip
            case "stopped":
                return [self._of_item("input_audio_buffer.speech_stopped",
                                      audio_end_ms=round(1000 * event["seconds"]))]  # fmt: skip
            case "interim" if event["words"]:
                return [self._delta(event["words"])]
            case "final":
                return self._final(event)
            case "failed":
                self._num_commits -= event["by"] == "commit"
                return self._failed(event["message"])
            case "cleared":
                self._items[0] = replace(self._items[0], has_text=False)
                return [self._event("input_audio_buffer.cleared")]
        return []

    def fail_all(self, error: ApiError) -> list[dict]:
        """No worker will say anything more: committed items fail, and the session."""
        waiting = [item for item in self._items if item.is_committed]
        return [e for _ in waiting for e in self._failed(error.message)] + [self.error(error)]

    @property
    def is_settled(self) -> bool:
        """Whether every commit was answered."""
        return self._num_commits == 0

    def _delta(self, words: list[dict]) -> dict:
        text = " ".join(word["text"] for word in words)
        if self._items[0].has_text:
            text = f" {text}"
        self._items[0].has_text = True
        kind = "conversation.item.input_audio_transcription.delta"
        return self._of_item(kind, content_index=0, delta=text)

    def _final(self, event: dict) -> list[dict]:
        self._done = max(self._done, event["end"])
        item, by = self._items[0], event["by"]
        self._num_commits -= by == "commit"
        is_ours = by == "settings" or self._is_ending  # nobody asked for this item
        if is_ours and not (event["text"] or item.is_committed):
            return []
        events = [] if item.is_committed else self._committed(item)
        words = [{**word, "word": word["text"]} for word in event["words"]]
        for word in words:
            del word["text"]
        done = self._of_item(
            "conversation.item.input_audio_transcription.completed", content_index=0,
            transcript=event["text"], words=words,
            usage={"type": "duration", "seconds": round(event["end"] - event["start"], 3)},
            languages=[{"code": event["lang"]}] if event["lang"] else [],
        )  # fmt: skip
        self._items.popleft()
        return [*events, done]

    def _failed(self, message: str) -> list[dict]:
        item = self._items[0]
        events = [] if item.is_committed else self._committed(item)
        error = {"type": "server_error", "code": "transcription_failed", "message": message,
                 "param": None}  # fmt: skip
        failed = self._of_item(
            "conversation.item.input_audio_transcription.failed", content_index=0, error=error
        )
        self._items.popleft()
        return [*events, failed]

    def _committed(self, item: LiveItem) -> list[dict]:
        """An item is in the conversation, and another one begins."""
        item.is_committed = True
        self._items.append(LiveItem(_new_id("item")))
        previous, self._previous = self._previous, item.id
        content = [{"type": "input_audio", "transcript": None}]
        shown = {"id": item.id, "object": "realtime.item", "type": "message", "role": "user",
                 "status": "completed", "content": content}  # fmt: skip
        return [
            self._event("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous),
            self._event("conversation.item.added", item=shown, previous_item_id=previous),
            self._event("conversation.item.done", item=shown, previous_item_id=previous),
        ]

    def _of_item(self, kind: str, **more: Any) -> dict:
        return self._event(kind, item_id=self._items[0].id, **more)

    def _event(self, kind: str, **more: Any) -> dict:
        return {"type": kind, "event_id": _new_id("event"), **more}


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"


def _parsed(text: str | bytes) -> dict:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise bad_request("The message is no JSON.", None, "invalid_json") from None
    if not isinstance(event, dict):
        raise bad_request("An event is a JSON object with a 'type'.", None, "invalid_json")
    return event


def _mapping(outer: dict, key: str, where: str) -> dict:
    """A mapping of a client's; empty where it is not there."""
    inner = outer.get(key, {})
    if not isinstance(inner, dict):
        raise bad_request(f"'{where}.{key}' must be an object.", f"{where}.{key}")
    _check_fields(inner, f"{where}.{key}")
    return inner


def _check_fields(given: dict, where: str) -> None:
    for name in given:
        if name not in FIELDS[where]:
            shown = in_one_line(name, 40)
            raise bad_request(f"'{where}' has no '{shown}'.{suggestion(name, FIELDS[where])}",
                              f"{where}.{shown}", "unknown_parameter")  # fmt: skip


def _rate(given: dict) -> int:
    if given.get("type", "audio/pcm") != "audio/pcm":
        raise bad_request("The sound must be audio/pcm: 16 bits, little-endian, one channel.",
                          f"{INPUT}.format.type")  # fmt: skip
    rate = given.get("rate", RATES[0])
    if type(rate) is not int or rate not in RATES:
        raise bad_request("The rate must be 24000 or 16000.", f"{INPUT}.format.rate")
    return rate


def _turns(given: Any) -> dict:
    """``silence`` and ``threshold`` of a turn detection; null leaves the ends to commits."""
    where = f"{INPUT}.turn_detection"
    if given is None:
        return {"silence": None}
    given = _mapping({"turn_detection": given}, "turn_detection", INPUT)
    if given.get("type", "server_vad") != "server_vad":
        raise bad_request("turn_detection is server_vad or null.", f"{where}.type")
    ms = _number(given, "silence_duration_ms", SILENCE_MS, SILENCES, where)
    threshold = _number(given, "threshold", THRESHOLD, (0.01, 0.99), where)
    return {"silence": ms / 1000, "threshold": threshold}


def _number(given: dict, key: str, default: float, limits: tuple, where: str) -> float:
    value = default if given.get(key) is None else given[key]
    if type(value) not in (int, float) or not limits[0] <= value <= limits[1]:
        raise bad_request(f"'{key}' must be a number from {limits[0]:g} to {limits[1]:g}.",
                          f"{where}.{key}")  # fmt: skip
    return value
