"""What is around every answer: key, ids, headers, origins, the log."""

import asyncio
import http.client
import json
import re
import socket
import time

import pytest

from asr_dro_plugin.serving.app import create_app
from asr_dro_plugin.serving.envelope import Envelope
from asr_dro_plugin.serving.metrics import Metrics
from asr_dro_plugin.serving.settings import ServiceSettings
from tests.serving.fronts import front, wav
from tests.serving.test_uploads import END, KIND, part

ORIGIN = "https://lab.example"


@pytest.fixture(scope="module")
def locked():
    """A service with a key and one page elsewhere that may call it."""
    with front(api_key="s3cret", origins=[ORIGIN]) as running:
        yield running


def ask(service, path="/v1/models", method="GET", body=None, **headers):
    """(status, headers, text)."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        link.request(method, path, body, headers)
        answer = link.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        link.close()


@pytest.mark.parametrize(
    "word", ["", "Bearer", "Bearer wrong", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret",
             "s3cret", "Bearer \xe9", "Bearer s3cret s3cret"],
)  # fmt: skip
def test_without_the_key_nothing_is_told(locked, word):
    headers = {"Authorization": word} if word else {}
    status, answered, text = ask(locked, **headers)
    assert status == 401 and answered["WWW-Authenticate"] == "Bearer"
    assert json.loads(text)["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("word", ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret"])
def test_with_the_key_all_is_told(locked, word):
    assert ask(locked, Authorization=word)[0] == 200


def test_without_the_key_no_body_is_read(locked):
    with socket.create_connection(("127.0.0.1", locked.port), timeout=10) as link:
        link.sendall(b"POST /transcribe HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert link.recv(12) == b"HTTP/1.1 401"


def test_without_the_key_nobody_is_listened_to(locked):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    status, _, text = ask(locked, "/v1/realtime", **upgrade)
    assert status == 401 and json.loads(text)["error"]["code"] == "invalid_api_key"
    upgrade["Sec-WebSocket-Protocol"] = "realtime, openai-insecure-api-key.s3cret"
    assert ask(locked, "/v1/realtime?model=none", **upgrade)[0] == 404
    assert "Traceback" not in locked.log


def test_health_needs_no_key_and_every_other_route_does():
    app = create_app(ServiceSettings(api_key="k"), pool=None)
    page = app.openapi()["paths"]
    opened = {
        path for path, methods in page.items() for o in methods.values() if not o.get("security")
    }
    assert opened <= {"/", "/healthz", "/health", "/readyz"} and "/healthz" in opened


def test_every_route_of_the_app_asks_for_the_key(locked):
    app = create_app(ServiceSettings(api_key="k"), pool=None)
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if operation.get("security"):
                assert ask(locked, path, method.upper())[0] == 401, path
            else:
                assert ask(locked, path, method.upper())[0] != 401, path


def test_a_request_id_is_the_clients_where_it_is_harmless(locked):
    assert ask(locked, "/healthz", X_Request_Id="job-7")[1]["x-request-id"] == "job-7"
    for wrong in ("a b", "x" * 65, "<b>", ""):
        given = ask(locked, "/healthz", X_Request_Id=wrong)[1]["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_every_answer_has_the_headers_of_safety(locked):
    for path in ("/healthz", "/nowhere", "/v1/models", "/transcribe"):
        headers = ask(locked, path)[1]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store" and "server" not in headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_head_is_get_without_the_body(locked):
    status, headers, text = ask(locked, "/healthz", "HEAD")
    assert (status, text) == (200, "") and int(headers["content-length"]) > 0


def test_pages_of_other_origins_may_call_only_where_they_are_named(locked, service):
    asked = {"Origin": ORIGIN, "Access_Control_Request_Method": "POST"}
    status, headers, _ = ask(locked, "/transcribe", "OPTIONS", **asked)
    assert status == 200 and headers["Access-Control-Allow-Origin"] == ORIGIN
    asked["Origin"] = "https://evil.example"
    assert "Access-Control-Allow-Origin" not in ask(locked, "/transcribe", "OPTIONS", **asked)[1]
    headers = ask(service, "/transcribe", "OPTIONS", **asked)[1]
    assert "Access-Control-Allow-Origin" not in headers  # none is named


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200),
                                              ("none", 200)])  # fmt: skip
def test_a_form_of_another_site_is_not_taken(service, site, status):
    """A page elsewhere can post to this machine without asking; browsers say that it does."""
    body = part(b"file", wav(1.0), b"a.wav") + part(b"model", b"m") + END
    assert ask(service, "/transcribe", "POST", body, Sec_Fetch_Site=site, **KIND)[0] == status


def test_a_client_that_does_not_read_its_answer_is_given_up():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"much"})

    async def stuck(message):
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    metrics = Metrics(pool=None)
    envelope = Envelope(app, ServiceSettings(body_timeout=0.05), metrics)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    began = time.monotonic()
    asyncio.run(envelope(scope, None, stuck))
    assert time.monotonic() - began < 5


def test_the_log_has_no_path_no_file_and_no_text():
    with front() as running:
        body = part(b"file", wav(1.0), b"hidden-name.wav") + END
        assert ask(running, "/transcribe?secret=1", "POST", body, **KIND)[0] == 200
        ask(running, "/hidden-path")
        ask(running, "/hidden-path", "HIDDEN")
        log = running.stop()[2]
    assert "POST /transcribe 200" in log and "no route 404" in log
    assert "idden" not in log and "HIDDEN" not in log and "secret" not in log and "w1" not in log


def test_metrics_have_no_label_that_a_client_can_make_up(service):
    for number in range(5):
        ask(service, f"/made-up-{number}")
        ask(service, f"/v1/models/made-up-{number}")
        ask(service, "/healthz", f"MADE{number}")
    text = ask(service, "/metrics")[2]
    assert "made-up" not in text and "MADE" not in text
    assert 'route="/v1/models/{model:path}",status="404"' in text
    assert re.search(r'asr_dro_requests_total{method="other",route="[^"]*",status="405"} 5', text)
    assert "asr_dro_pool_workers_ready 1.0" in text and "asr_dro_ready 1.0" in text
