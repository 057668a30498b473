"""What a client sees when something is wrong: one form for every route, OpenAI's.

``{"error": {"message": ..., "type": ..., "param": ..., "code": ...}}`` with a status of which
clients send again what may succeed then and nothing else: OpenAI's repeat 408, 409, 429 and 5xx
unless ``x-should-retry`` says false.
"""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from asr_dro_plugin.serving.protocol import Busy, Draining, Failed
from asr_dro_plugin.serving.settings import LONGEST_RETRY

CLIENT_CLOSED = 499  # nginx's status for the log: nobody reads the answer
log = logging.getLogger("asr_dro.serve")


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: one line: fact, remedy.
        code: a word for programs.
        param: the field of the request that is the cause.
        retry_after: whole seconds after which the same request may succeed.
        headers: more of the answer's headers.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, min(retry_after, LONGEST_RETRY)))
        elif status != HTTPStatus.REQUEST_TIMEOUT:
            self.headers["x-should-retry"] = "false"

    @property
    def body(self) -> dict:
        """The answer's JSON."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> Response:
        """The answer."""
        return JSONResponse(self.body, self.status, self.headers)


# A fault of this program: the log has its place, the client no details.
OUR_FAULT = ApiError(500, "The service failed on this request; its log says where.",
                     "internal_error")  # fmt: skip


class ClientGone(Exception):
    """The client has closed the connection; there is nobody to answer."""


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """400, for a field that cannot be what it is."""
    return ApiError(400, message, code, param)


def not_admitted(reason: Busy | Draining) -> ApiError:
    """503 with Retry-After."""
    if isinstance(reason, Busy):
        message = f"The queue is full. Send this again in {reason.retry_after} s."
        return ApiError(503, message, "queue_full", retry_after=reason.retry_after)
    return ApiError(503, "The service is going down. Send this again.", "draining", retry_after=5)


def of_failed(event: Failed) -> ApiError:
    """What the worker said of a recording."""
    retry_after = 5 if event.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return ApiError(event.status, event.message, event.code, event.param, retry_after)


def add_handlers(app: FastAPI) -> None:
    """Have every error of an app's routes answered in this form."""
    app.add_exception_handler(ApiError, lambda request, error: error.response())
    app.add_exception_handler(ClientGone, lambda request, error: Response(None, CLIENT_CLOSED))
    app.add_exception_handler(HTTPException, _framework_error)


def _framework_error(request: Request, error: HTTPException) -> Response:
    """No such path, no such method, a malformed request."""
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    message = f"{error.detail}: {request.method} here. GET /openapi.json lists what there is."
    return ApiError(error.status_code, message, code, headers=error.headers).response()
