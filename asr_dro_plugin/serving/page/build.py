"""The page's file, put together from its parts, with the policy that allows these alone."""

import base64
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 100_000
# In this order: each part may use what the ones before it define, the last one begins.
SCRIPTS = ("dom", "words", "subtitles", "service", "queue", "result", "record", "start")
# What is read, and in what a browser may record: with FFmpeg's decoders (the extra media), and with
# libsndfile alone.
FORMATS = "WAV, FLAC, MP3, M4A, Ogg, Opus, WebM, WMA and most others, also the sound of a video"
FEWER_FORMATS = "WAV, FLAC, Ogg, Opus"
RECORDED = ("audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4")
FEWER_RECORDED = RECORDED[:1]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """The file and the HTTP headers that it is to be sent with."""

    html: bytes
    headers: dict[str, str]


def build_page(max_upload_bytes: int, max_seconds: float, needs_key: bool) -> Page:
    """The page of a service with these limits."""
    facts = {"maxBytes": max_upload_bytes, "maxSeconds": max_seconds, "needsKey": needs_key,
             **_formats()}  # fmt: skip
    style = _text("page.css")
    script = '(() => {\n"use strict";\n' + "\n".join(map(_script, SCRIPTS)) + "})();\n"
    html = _text("page.html")
    for place, content in (("page.css", style), ("facts", _data(facts)), ("page.js", script)):
        html = html.replace(f"/* {place} */", content)
    return Page(html.encode(), _headers(style, script))


def _formats() -> dict[str, str | tuple[str, ...]]:
    if importlib.util.find_spec("av"):
        return {"formats": FORMATS, "recorded": RECORDED}
    return {"formats": FEWER_FORMATS, "recorded": FEWER_RECORDED}


def _script(name: str) -> str:
    return _text(f"js/{name}.js")


def _text(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _data(facts: Mapping) -> str:
    """JSON that cannot end the element around it."""
    return json.dumps(facts).replace("<", "\\u003c")


def _headers(style: str, script: str) -> dict[str, str]:
    """No host but this one, no script and no style but these two (Content Security Policy 3)."""
    policy = {
        "default-src": "'none'",
        "script-src": _digest(script),
        "style-src": _digest(style),
        "img-src": "data:",  # the icon
        "media-src": "blob:",  # the user's own recording
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Cache-Control": "no-cache",
    }


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
