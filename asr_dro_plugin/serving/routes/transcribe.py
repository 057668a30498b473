"""``POST /transcribe``: the words of a recording with their times."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from asr_dro_plugin.serving.answers import transcribed
from asr_dro_plugin.serving.event_stream import JsonLines, event_stream
from asr_dro_plugin.serving.options import (
    check_names,
    ignored_header,
    job_of,
    switch,
)
from asr_dro_plugin.serving.schemas import (
    JOB_FIELDS,
    UPLOAD_ERRORS,
    Transcribed,
    form,
    responses,
)
from asr_dro_plugin.serving.service import Service

NAMES = frozenset(name.removesuffix("[]") for name in JOB_FIELDS)
_LINES = {
    "description": "The transcript; with stream=true lines of JSON, an event each",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
}


def router(service: Service) -> APIRouter:
    """The route over a service."""
    routes = APIRouter(tags=["transcripts"])

    @routes.post("/transcribe", openapi_extra=form(JOB_FIELDS), response_model=Transcribed,
                 responses=responses(*UPLOAD_ERRORS, others={200: _LINES}))  # fmt: skip
    async def transcribe(request: Request) -> Response:
        """Text, words with times and confidence, language and duration of one recording."""
        async with service.upload(request) as upload:
            check_names(upload.form, NAMES)
            job, known = job_of(upload, switch(upload.form, "vad", service.settings.vad))
            headers = ignored_header(upload.form, (), known)
            if switch(upload.form, "stream"):
                return await event_stream(upload, job, JsonLines(upload), headers)
            answer = transcribed(await upload.transcript(job), upload.form.filename, job.model)
            return JSONResponse(answer, headers=headers)

    return routes
