"""``POST /v1/audio/transcriptions``: OpenAI's surface, so that its clients work as they are."""

import math

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from asr_dro_plugin.errors import in_one_line
from asr_dro_plugin.serving.answers import PLAIN, openai_json, plain, verbose_json
from asr_dro_plugin.serving.errors import bad_request
from asr_dro_plugin.serving.event_stream import ServerSentEvents, event_stream
from asr_dro_plugin.serving.options import (
    check_names,
    ignored_header,
    job_of,
    switch,
)
from asr_dro_plugin.serving.schemas import (
    JOB_FIELDS,
    UPLOAD_ERRORS,
    Transcription,
    TranscriptionVerbose,
    form,
    responses,
)
from asr_dro_plugin.serving.service import Service
from asr_dro_plugin.serving.uploads import Form
from asr_dro_plugin.transcripts.transcript import Transcript

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
WITHOUT_TIMES = ("json", "text")  # and for these alone there are events
GRANULARITIES = ("word", "segment")
IGNORED_FIELDS = ("prompt", "temperature")  # sent by habit, and without effect on CTC
REFUSED = {
    "include": "Log probabilities of tokens are not given; verbose_json has confidences of words",
    "keywords": "The model cannot be guided by words",
    "known_speaker_names": "Speakers are not told apart",
    "known_speaker_references": "Speakers are not told apart",
}
VAD_TUNING = ("prefix_padding_ms", "silence_duration_ms", "threshold")
OWN_FIELDS: dict[str, dict] = {
    "response_format": {"type": "string", "enum": [*FORMATS], "default": "json"},
    "timestamp_granularities[]": {
        "type": "array", "items": {"type": "string", "enum": [*GRANULARITIES]},
        "description": "only with verbose_json; segment where nothing is said",
    },
    "prompt": {"type": "string", "description": "ignored, and said so in x-ignored-parameters"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1,
                    "description": "ignored, and said so in x-ignored-parameters"},
    "chunking_strategy": {"type": "string", "enum": ["auto"],
                          "description": "auto leaves silence out, as vad does"},
}  # fmt: skip
FIELDS = {**JOB_FIELDS, **OWN_FIELDS}
NAMES = frozenset(name.removesuffix("[]") for name in FIELDS)
UNLISTED = {*REFUSED, "chunking_strategy[type]", *(f"chunking_strategy[{n}]" for n in VAD_TUNING)}
_TEXTS = [media_type for _, media_type in PLAIN.values()]
_FORMATS = {
    "description": "The transcript in the format that was asked for; with stream=true events",
    "content": dict.fromkeys([*_TEXTS, ServerSentEvents.media_type],
                             {"schema": {"type": "string"}}),
}  # fmt: skip


def check(form: Form) -> tuple[str, list[str], bool]:
    """Response format, granularities, and whether events are asked for.

    Raises:
        ApiError: a field that is wrong, or not served here; names it.
    """
    check_names(form, NAMES, UNLISTED)
    for name, reason in REFUSED.items():
        if any(form.fields.get(name, [])):
            raise bad_request(f"{reason}. Leave '{name}' out.", name, "unsupported_parameter")
    _check_temperature(form.one("temperature"))
    response_format, stream = form.one("response_format") or "json", switch(form, "stream")
    if response_format == "diarized_json":
        raise bad_request("Speakers are not told apart. Ask for verbose_json.", "response_format",
                          "unsupported_value")  # fmt: skip
    if response_format not in FORMATS:
        raise bad_request(f"response_format '{in_one_line(response_format, 20)}' is unknown. "
                          f"Formats: {', '.join(FORMATS)}.", "response_format")  # fmt: skip
    if stream and response_format not in WITHOUT_TIMES:
        raise bad_request(f"Events have no {response_format}. Leave 'stream' out, or ask for json.",
                          "stream", "unsupported_value")  # fmt: skip
    return response_format, _granularities(form, response_format), stream


def _granularities(form: Form, response_format: str) -> list[str]:
    """Refuses those that are unknown, and any beside another format than verbose_json."""
    found, name = form.fields.get("timestamp_granularities", []), "timestamp_granularities"
    for word in found:
        if word not in GRANULARITIES:
            raise bad_request(f"A granularity is word or segment, not '{in_one_line(word, 20)}'.",
                              name)  # fmt: skip
    if found and response_format != "verbose_json":
        raise bad_request(f"'{name}' needs response_format verbose_json, not {response_format}.",
                          name)  # fmt: skip
    return found


def _check_temperature(word: str | None) -> None:
    try:
        value = float(word or 0)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise bad_request("temperature must be a number from 0 to 1.", "temperature")


def wants_vad(form: Form, default: bool) -> bool:
    """Whether silence is left out, by ``vad`` or OpenAI's ``chunking_strategy``."""
    for name in VAD_TUNING:
        if f"chunking_strategy[{name}]" in form.fields:
            raise bad_request(f"'{name}' cannot be set here. Leave it out.", "chunking_strategy",
                              "unsupported_parameter")  # fmt: skip
    chosen = form.one("chunking_strategy") or form.one("chunking_strategy[type]")
    if chosen not in (None, "auto", "server_vad"):
        raise bad_request("chunking_strategy is auto, or server_vad without more.",
                          "chunking_strategy")  # fmt: skip
    return switch(form, "vad", default or chosen is not None)


def rendered(
    transcript: Transcript, response_format: str, granularities: list[str], known: list[str]
) -> Response:
    """The whole answer in a format."""
    if response_format in PLAIN:
        media_type = f"{PLAIN[response_format][1]}; charset=utf-8"
        return Response(plain(transcript, response_format), headers={"Content-Type": media_type})
    if response_format == "json":
        return JSONResponse(openai_json(transcript))
    return JSONResponse(verbose_json(transcript, granularities, known))


def router(service: Service) -> APIRouter:
    """The route over a service."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/audio/transcriptions", openapi_extra=form(FIELDS),
                 response_model=TranscriptionVerbose | Transcription,
                 responses=responses(*UPLOAD_ERRORS, others={200: _FORMATS}))  # fmt: skip
    async def transcriptions(request: Request) -> Response:
        """OpenAI's transcriptions: json, text, srt, vtt, verbose_json, or events."""
        async with service.upload(request) as upload:
            response_format, granularities, stream = check(upload.form)
            vad = wants_vad(upload.form, service.settings.vad)
            job, known = job_of(upload, vad, times=response_format not in WITHOUT_TIMES)
            headers = ignored_header(upload.form, IGNORED_FIELDS, known)
            if stream:
                return await event_stream(upload, job, ServerSentEvents(upload), headers)
            transcript = await upload.transcript(job)
            response = rendered(transcript, response_format, granularities, known)
            response.headers.update(headers)
            return response

    return routes
