"""``GET /``: the page for people; the same for everybody, so it needs no key."""

from fastapi import APIRouter
from starlette.responses import Response

from asr_dro_plugin.serving.page.build import build_page
from asr_dro_plugin.serving.service import Service


def router(service: Service) -> APIRouter:
    """The route over a service; the page is built once."""
    settings = service.settings
    page = build_page(settings.max_upload_bytes, settings.max_seconds, bool(settings.api_key))
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def root() -> Response:
        return Response(page.html, headers=page.headers, media_type="text/html; charset=utf-8")

    return routes
