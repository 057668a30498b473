"""Whether the service lives and takes recordings, and its figures."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from asr_dro_plugin.serving.schemas import Status, responses
from asr_dro_plugin.serving.service import RETRY_LOADING, Service

_NOT_READY = {"model": Status, "description": "Loading, or going down"}
_FIGURES = {
    "description": "Prometheus' text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def router(service: Service) -> APIRouter:
    """The routes over a service."""
    routes = APIRouter(tags=["health"])

    @routes.get("/health", response_model=Status, responses=responses(public=True))
    @routes.get("/healthz", response_model=Status, responses=responses(public=True))
    async def healthz() -> Response:
        """The front process lives."""
        return JSONResponse({"status": "alive"})

    @routes.get("/readyz", response_model=Status,
                responses=responses(public=True, others={503: _NOT_READY}))  # fmt: skip
    async def readyz() -> Response:
        """Models are loaded, the self-test passed, recordings are taken."""
        if service.pool.ready:
            return JSONResponse({"status": "ready"})
        word = "draining" if service.is_draining else "loading"
        return JSONResponse({"status": word}, 503, {"Retry-After": str(RETRY_LOADING)})

    @routes.get("/metrics", response_class=Response,
                responses=responses(500, others={200: _FIGURES}))  # fmt: skip
    async def metrics() -> Response:
        """Figures for Prometheus."""
        page, media_type = service.metrics.page()
        return Response(page, media_type=media_type)

    return routes
