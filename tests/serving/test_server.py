"""The service as a process: its address, its start, and ends in which nothing is lost."""

import http.client
import json
import signal
import socket
import threading
import time

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.serving.server import listen
from tests.serving.fronts import front, wav
from tests.serving.stand_in import HANG, SLOW
from tests.serving.test_uploads import END, KIND, part, post


def upload(level=0.01, seconds=1.0):
    return part(b"file", wav(seconds, level), b"a.wav") + END


def get(service, path):
    """(status, JSON)."""
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        link.close()


class Asker(threading.Thread):
    """An upload that goes on beside the test; ``answer`` is None where the connection broke."""

    def __init__(self, service, body):
        super().__init__()
        self.service, self.body, self.answer, self.fault = service, body, None, None
        self.start()

    def run(self):
        try:
            self.answer = post(self.service, self.body)
        except (OSError, http.client.HTTPException) as fault:
            self.fault = fault


def wait_for(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def num_admitted(service):
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    link.request("GET", "/metrics")
    lines = link.getresponse().read().decode().splitlines()
    link.close()
    return next(
        float(line.split()[1]) for line in lines if line.startswith("asr_dro_pool_admitted")
    )


def test_a_service_is_alive_before_it_is_ready():
    with front(ready=False, environment={"SLOW_LOADING": "1.5"}) as running:
        assert get(running, "/healthz") == (200, {"status": "alive"})
        assert get(running, "/readyz") == (503, {"status": "loading"})
        assert get(running, "/model_config") == (503, {"status": "loading"})
        status, headers, answer = post(running, upload())
        assert (status, answer["error"]["code"]) == (503, "loading")
        assert 1 <= int(headers["Retry-After"]) <= 60
        assert get(running, "/v1/models")[0] == 503
        running.wait_ready()
        assert get(running, "/readyz") == (200, {"status": "ready"})
        assert post(running, upload())[0] == 200


def test_a_stop_finishes_what_is_in_and_takes_nothing_new():
    with front() as running:
        inside = [Asker(running, upload(SLOW)) for _ in range(3)]
        wait_for(lambda: num_admitted(running) == 3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        status, headers, answer = post(running, upload())
        assert (status, answer["error"]["code"]) == (503, "draining") and headers["Retry-After"]
        assert get(running, "/readyz") == (503, {"status": "draining"})
        for asker in inside:
            asker.join()
            assert asker.answer[0] == 200 and asker.answer[2]["text"] == "w1"
        out, _ = running.process.communicate(timeout=20)
        assert running.process.returncode == 0 and "stopped" in out
        assert "Traceback" not in running.log


def test_a_stop_while_a_body_is_being_read_waits_for_it():
    body = upload()
    with front() as running, socket.create_connection(("127.0.0.1", running.port)) as link:
        lines = ["POST /transcribe HTTP/1.1", "Host: x", f"Content-Type: {KIND['Content-Type']}",
                 f"Content-Length: {len(body)}", "", ""]  # fmt: skip
        link.sendall("\r\n".join(lines).encode() + body[:1000])
        wait_for(lambda: num_admitted(running) == 1)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        link.sendall(body[1000:])
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == 200 and json.loads(answer.read())["text"] == "w1"
        running.process.communicate(timeout=20)
        assert running.process.returncode == 0


def test_a_stop_ends_in_time_and_says_that_recordings_were_cut_off():
    with front(drain_seconds=0.5) as running:
        inside = Asker(running, upload(HANG))
        wait_for(lambda: num_admitted(running) == 1)
        began = time.monotonic()
        code, _, log = running.stop()
        inside.join()
        assert code == 1 and "cut off" in log and time.monotonic() - began < 8
        assert inside.answer[0] == 503 and inside.answer[2]["error"]["code"] == "draining"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_cuts_off_what_is_in(number):
    with front(drain_seconds=60) as running:
        inside = Asker(running, upload(HANG))
        wait_for(lambda: num_admitted(running) == 1)
        running.process.send_signal(number)
        time.sleep(0.3)
        assert running.process.poll() is None
        began = time.monotonic()
        code, _, log = running.stop(number)
        inside.join()
        assert code == 1 and "Traceback" not in log and time.monotonic() - began < 6
        assert inside.answer[0] == 503 and inside.answer[2]["error"]["code"] == "draining"


def test_an_upload_that_is_still_coming_when_the_time_is_up_is_told_so():
    with front(drain_seconds=0.2) as running, socket.socket() as link:
        link.connect(("127.0.0.1", running.port))
        link.sendall(
            b"POST /transcribe HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b"
        )
        wait_for(lambda: num_admitted(running) == 1)
        code, _, log = running.stop()
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == 503 and code == 1 and "Traceback" not in log


def test_a_client_that_leaves_frees_its_place_and_its_worker():
    with front(max_queue=2) as running:
        body = upload(HANG)
        links = []
        for _ in range(2):
            link = http.client.HTTPConnection("127.0.0.1", running.port)
            link.request("POST", "/transcribe", body, KIND)
            links.append(link)
        wait_for(lambda: num_admitted(running) == 2)
        began = time.monotonic()
        assert get(running, "/health")[0] == 200  # row A11: a model at work keeps nobody waiting
        assert time.monotonic() - began < 2
        assert post(running, upload())[0] == 503
        for link in links:
            link.close()
        wait_for(lambda: num_admitted(running) == 0)


@pytest.mark.parametrize("path", ["/transcribe", "/v1/audio/transcriptions"])
def test_a_client_that_leaves_amid_its_events_frees_its_place(path):
    with front(environment={"SLOW_STEPS": "0.2"}) as running:
        link = http.client.HTTPConnection("127.0.0.1", running.port)
        body = part(b"stream", b"true") + upload(seconds=600.0)
        link.request("POST", path, body, KIND)
        assert link.getresponse().readline().startswith((b"data: {", b"{"))
        assert num_admitted(running) == 1
        link.close()
        wait_for(lambda: num_admitted(running) == 0, seconds=3)
        assert post(running, upload())[0] == 200


def test_below_a_path_of_a_proxy_all_is_as_it_was():
    """The proxy cuts the path off; the OpenAPI page says where it is seen."""
    with front(root_path="/asr", api_key="k") as running:
        assert get(running, "/healthz") == (200, {"status": "alive"})
        assert get(running, "/v1/models")[0] == 401
        headers = {**KIND, "Authorization": "Bearer k"}
        assert post(running, upload(), headers)[0] == 200
        link = http.client.HTTPConnection("127.0.0.1", running.port)
        link.request("GET", "/openapi.json", headers=headers)
        assert json.load(link.getresponse())["servers"] == [{"url": "/asr"}]
        link.close()


def test_models_that_cannot_be_loaded_end_the_service_with_one_line():
    with front(ready=False, models={"broken": "."}) as running:
        out, _ = running.process.communicate(timeout=30)
        assert running.process.returncode == 1 and "ready" not in out
        assert running.log == "ERROR: broken/model.onnx is altered. Export it again.\n"


def test_a_port_that_is_taken_is_refused_by_its_number():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} .* cannot be used: .* in use"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "a" * 70, "", "::1"])
def test_a_host_is_listened_at_or_refused_in_one_line(host):
    try:
        listen(host, 0).close()
    except UserError as error:
        assert "\n" not in str(error) and ("--host" in str(error) or "Port" in str(error))


@pytest.mark.parametrize("pause", [0.0, 0.01, 0.05])
def test_a_stop_under_load_answers_whoever_was_let_in(pause):
    with front(workers=2, max_queue=8) as running:
        askers = [Asker(running, upload(SLOW)) for _ in range(12)]
        time.sleep(pause)
        running.process.send_signal(signal.SIGTERM)
        for asker in askers:
            asker.join()
        running.process.communicate(timeout=20)
        assert running.process.returncode == 0 and "Traceback" not in running.log
        for asker in askers:
            assert asker.answer or isinstance(asker.fault, ConnectionRefusedError), asker.fault
            assert asker.answer is None or asker.answer[0] in (200, 503)


@pytest.mark.parametrize(("settings", "is_told"), [({}, True), ({"api_key": "k"}, False)])
def test_a_service_that_everybody_may_use_says_so(settings, is_told):
    with front(ready=False, host="0.0.0.0", **settings) as running:
        running.wait_ready()
        assert ("no key is set" in running.log) == is_told
