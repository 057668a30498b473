"""The web application: every route over one pool, errors in one form, an OpenAPI page that is true.

``create_app(settings, pool)`` is a plain ASGI application; the pool is started and drained by who
made it (``serving.server``).
"""

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

import asr_dro_plugin
from asr_dro_plugin.serving.envelope import PUBLIC, Envelope
from asr_dro_plugin.serving.errors import add_handlers
from asr_dro_plugin.serving.metrics import Metrics
from asr_dro_plugin.serving.options import IGNORED
from asr_dro_plugin.serving.routes import health, models, openai, page, realtime, transcribe
from asr_dro_plugin.serving.service import AbsPool, Service
from asr_dro_plugin.serving.settings import ServiceSettings

ROUTERS = (
    page.router, transcribe.router, openai.router, realtime.router, models.router, health.router,
)  # fmt: skip
DESCRIPTION = "Speech to text with exported models of asr-dro."
SHOWN_HEADERS = ("x-request-id", "retry-after", IGNORED)  # to pages of other origins


def create_app(settings: ServiceSettings, pool: AbsPool) -> FastAPI:
    """The application; ``app.state.service`` has what its routes share."""
    metrics = Metrics(pool)
    service = Service(settings, pool, metrics)
    middleware = [Middleware(Envelope, settings=settings, metrics=metrics)]
    if settings.origins:
        middleware.insert(0, Middleware(
            CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=SHOWN_HEADERS,
        ))  # fmt: skip
    app = FastAPI(
        title="asr-dro", version=asr_dro_plugin.__version__, description=DESCRIPTION,
        root_path=settings.root_path, docs_url=None, redoc_url=None, middleware=middleware,
        separate_input_output_schemas=False, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    add_handlers(app)
    for router in ROUTERS:
        app.include_router(router(service))
    if settings.api_key:
        _document_key(app)
    return app


def _document_key(app: FastAPI) -> None:
    """Have the OpenAPI page say which routes need the key."""
    plain = app.openapi

    def openapi() -> dict:
        if app.openapi_schema is None:
            page = plain()
            schemes = page.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer"}
            for path, methods in page["paths"].items():
                if path not in PUBLIC:
                    for operation in methods.values():
                        operation["security"] = [{"key": []}]
        return app.openapi_schema

    app.openapi = openapi
