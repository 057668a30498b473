"""A function without a server: an event with audio in, JSON out; the model is loaded once.

    ASR_DRO_MODEL=/opt/model     the exported folder or its zip, before the first event
    ASR_DRO_THREADS=1            of the model's computations
    ASR_DRO_MAX_SECONDS=900      longest recording
    handler: asr_dro_plugin.serving.function.handler

The event is that of AWS's HTTP APIs and function URLs (``body``, ``isBase64Encoded``,
``queryStringParameters``), or plainly ``{"audio": BASE64, "language": "eng", "vad": true}``.  The
answer has the form that those want; its body is that of ``POST /transcribe``, or an error of its
form.
"""

import base64
import binascii
import functools
import json
import os
from collections.abc import Mapping
from typing import Any

from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.serving.guard import Guard
from asr_dro_plugin.serving.protocol import Done, Failed, Job

MODEL, THREADS, MAX_SECONDS = "ASR_DRO_MODEL", "ASR_DRO_THREADS", "ASR_DRO_MAX_SECONDS"
MOST_BYTES = 100_000_000
PLAIN = ("audio", "language", "vad")  # keys of an event that is no request of HTTP
SWITCHES = {"true": True, "1": True, "false": False, "0": False}


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
    """Transcribe one recording.

    Args:
        event: see above.
        context: the platform's, without use here.

    Returns:
        ``statusCode``, ``headers`` and a ``body`` of JSON: 200, 4xx where the event or its audio is
        at fault, 500 where the function is.
    """
    del context
    try:
        audio, language, vad = _read(event)
        guard = Guard(_number(MAX_SECONDS, 900))
        name, recogniser = _loaded()
    except _Refused as refusal:
        return _answer(refusal.status, _error(refusal.status, str(refusal), refusal.code))
    except UserError as error:
        return _answer(500, _error(500, in_one_line(error), "no_model"))
    end = _transcribed(audio, Job("function", name, language, vad), recogniser, guard)
    if isinstance(end, Failed):
        return _answer(end.status, _error(end.status, end.message, end.code, end.param))
    from asr_dro_plugin.serving.answers import transcribed
    from asr_dro_plugin.transcripts.transcript import from_json

    found = transcribed(from_json(json.dumps(end.transcript)), "", name)
    del found["filename"]
    return _answer(200, found)


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.status, self.code = status, code


def _read(event: Mapping[str, Any]) -> tuple[bytes, str | list[str] | None, bool]:
    """Audio, languages and whether only speech is decoded."""
    if not isinstance(event, Mapping):
        raise _Refused(400, "The event is no object. Send one with audio or body.")
    if "audio" in event:
        for key in event:
            if key not in PLAIN:
                shown = in_one_line(key, 40)
                raise _Refused(400, f"There is no field '{shown}'. Fields: {', '.join(PLAIN)}.")
        return (_decoded(event["audio"]), *_wishes(event))
    headers = {str(k).lower(): v for k, v in (event.get("headers") or {}).items()}
    if str(headers.get("content-type", "")).startswith("multipart/"):
        raise _Refused(415, "A form is not read here. Send the file itself as the body.")
    body = event.get("body")
    if not body:
        raise _Refused(400, "There is no audio. Send it as the body, or as base64 in 'audio'.",
                       "missing_required_parameter")  # fmt: skip
    audio = body if isinstance(body, bytes | bytearray) else _decoded(body)
    return (bytes(audio), *_wishes(event.get("queryStringParameters") or {}))


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str | bytes) or not text:
        raise _Refused(400, "The audio is no text of base64. Encode the file's bytes.")
    if len(text) > MOST_BYTES * 4 // 3 + 4:
        raise _Refused(413, f"The audio has over {MOST_BYTES} bytes. Cut it.", "audio_too_long")
    try:
        return base64.b64decode("".join(text.split()) if isinstance(text, str) else text,
                                validate=True)  # fmt: skip
    except (binascii.Error, ValueError):
        raise _Refused(400, "The audio is no base64. Encode the file's bytes.") from None


def _wishes(given: Mapping[str, Any]) -> tuple[str | list[str] | None, bool]:
    """Languages (some with commas between) and VAD."""
    language, vad = given.get("language"), given.get("vad", False)
    vad = SWITCHES.get(str(vad).lower())
    if vad is None:
        raise _Refused(400, "'vad' must be true or false.")
    if language in (None, "", "auto", "free"):
        return None, vad
    codes = language.split(",") if isinstance(language, str) else language
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise _Refused(400, "'language' must be a code such as eng, or some with commas between.")
    return [code.strip() for code in codes], vad


@functools.cache
def _loaded() -> tuple[str, Any]:
    """Name and recogniser of the environment's model; a failure is tried again next time."""
    from asr_dro_plugin.runtime.recogniser import Recogniser

    path = os.environ.get(MODEL)
    if not path:
        raise UserError(f"{MODEL} names no exported model. Set it to the folder or its zip.")
    recogniser = Recogniser(path, threads=_number(THREADS, 1))
    return recogniser.manifest.name, recogniser


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "") or str(default)
    if not value.isdecimal():
        raise UserError(f"{name} is '{value}'. Give a whole number.")
    return int(value)


def _transcribed(audio: bytes, job: Job, recogniser: Any, guard: Guard) -> Done | Failed:
    """The last event of a worker's that transcribes it."""
    from asr_dro_plugin.serving.worker import transcribing

    descriptor = os.memfd_create("audio")
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(audio)
        *_, end = transcribing(job, descriptor, {job.model: recogniser}, guard)
        return end
    finally:
        os.close(descriptor)


def _error(status: int, message: str, code: str, param: str | None = None) -> dict:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _answer(status: int, body: dict) -> dict[str, Any]:
    text = json.dumps(body, ensure_ascii=False)
    headers = {"content-type": "application/json; charset=utf-8"}
    return {"statusCode": status, "headers": headers, "isBase64Encoded": False, "body": text}
