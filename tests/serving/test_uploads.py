"""Forms as strangers send them: each is read or refused with one line, and nothing stays behind."""

import contextlib
import http.client
import json
import os
import random
import socket
import tempfile
import time

import openai
import psutil
import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.serving.uploads import LONGEST_NAME, MAX_FIELD_BYTES, check_room, clean_name
from tests.serving.fronts import front, wav

BOUNDARY = b"----form"
KIND = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}


def part(name, value, filename=None, kind=None):
    """One part of a form; names as bytes, unescaped."""
    head = b'Content-Disposition: form-data; name="' + name + b'"'
    head += b'; filename="' + filename + b'"' if filename is not None else b""
    head += b"\r\nContent-Type: " + kind if kind else b""
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"
FILE = part(b"file", wav(1.0), b"a.wav")


def post(service, body, headers=KIND, path="/transcribe"):
    """(status, headers, JSON) of one upload."""
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        link.request("POST", path, body, headers)
        answer = link.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        link.close()


def test_a_form_is_read_whatever_its_order_and_its_client(service):
    model = part(b"model", b"m")
    for body in (
        FILE + model,
        model + FILE,
        FILE + model + part(b"language", b""),
        model + part(b"file", wav(1.0), b"", b"audio/wav"),
        model + part(b"file", wav(1.0), None, b"application/octet-stream"),  # guidellm, issue 983
        b"\r\n" + model + FILE,
    ):
        assert post(service, body + END)[0] == 200
    assert post(service, model + FILE + END + b"behind the end")[0] == 200


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (FILE + END, {}, 415, "multipart/form-data"),
        (b"{}", {"Content-Type": "application/json"}, 415, "multipart/form-data"),
        (wav(1.0), {"Content-Type": "audio/wav"}, 415, "multipart/form-data"),
        (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "multipart"),
        (FILE + END, {**KIND, "Content-Encoding": "gzip"}, 415, "uncompressed"),
        (FILE + END, {"Content-Type": "multipart/form-data"}, 400, "no boundary"),
        (FILE + END, {"Content-Type": "multipart/form-data; boundary=other"}, 400, "no valid"),
        (FILE + END, {"Content-Type": "multipart/form-data; boundary=" + "x" * 300}, 400, "valid"),
        (FILE, KIND, 400, "breaks off"),
        (FILE[:-500], KIND, 400, "breaks off"),
        (b"", KIND, 400, "breaks off"),
        (END, KIND, 400, ""),
        (part(b"model", b"m") + END, KIND, 400, "no field 'file'"),
        (FILE + FILE + END, KIND, 400, "two files"),
        (part(b"file", b"a.wav") + END, KIND, 400, "with the @"),
        (part(b"file", b"", b"a.wav") + END, KIND, 400, "empty"),
        (part(b"audio", wav(1.0), b"a.wav") + END, KIND, 400, "Name it 'file'"),
        (FILE + part(b"model", b"m") * 2 + END, KIND, 400, "2 times"),
        (FILE + part(b"model", b"\xff\xfe") + END, KIND, 400, "not UTF-8"),
        (FILE + part(b"\xff", b"m") + END, KIND, 400, "not UTF-8"),
        (FILE + part(b"model", b"m" * (MAX_FIELD_BYTES + 1)) + END, KIND, 413, "longer than"),
        (FILE + b"".join(part(b"f%d" % n, b"") for n in range(70)) + END, KIND, 400, "64"),
        (FILE + part(b"colour\r\nX: y", b"m") + END, KIND, 400, ""),
        (b"--" + BOUNDARY + b"\r\nX: " + b"y" * 20_000 + b"\r\n\r\n\r\n" + END, KIND, 400, "valid"),
        (b"--" + BOUNDARY + b"\r\n" + b"X: y\r\n" * 500 + b"\r\n\r\n" + END, KIND, 400, "valid"),
        (b"--" + BOUNDARY + b"\r\nX: y\r\n\r\nvalue\r\n" + END, KIND, 400, "no name"),
        (b"\x00" * 5000, KIND, 400, "no valid"),
    ],
)
def test_a_form_that_is_none_is_refused_with_one_line(service, body, headers, status, said):
    found, _, answer = post(service, body, headers)
    error = answer["error"]
    assert found == status and said in error["message"] and "\n" not in error["message"]
    assert error["type"] == "invalid_request_error" and error["code"] and len(str(error)) < 400


@pytest.fixture(scope="module")
def tight():
    """A service that takes one small recording at a time, and is in a hurry."""
    with front(max_queue=1, max_upload_mb=0.2, body_timeout=0.4) as running:
        yield running


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(tight):
    with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as link:
        link.sendall(head(50_000_000))
        status, answer = read(link)
    assert status == 413 and "0.2 MB" in answer["error"]["message"]


def test_an_upload_that_grows_too_large_is_refused_on_the_way(tight):
    chunk = b"%x\r\n%s\r\n" % (len(FILE), FILE)
    with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as link:
        link.sendall(head() + chunk[:-200])
        with pytest.raises((ConnectionError, BrokenPipeError, TimeoutError)):
            for _ in range(200):  # 32 MB at the most
                link.sendall(b"\r\n10000\r\n" + b"\0" * 0x10000)
                link.settimeout(5)
            raise TimeoutError
    body = part(b"file", b"\0" * 250_000, b"a.wav") + END
    status, _, answer = post(tight, body)
    assert status == 413 and answer["error"]["param"] == "file"


def head(length=None):
    """The head of an upload, of a length or in chunks."""
    size = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    lines = ["POST /transcribe HTTP/1.1", "Host: x", f"Content-Type: {KIND['Content-Type']}", size]
    return "\r\n".join([*lines, "", ""]).encode()


def read(link):
    """(status, JSON) of an answer."""
    answer = http.client.HTTPResponse(link)
    answer.begin()
    return answer.status, json.loads(answer.read())


def test_a_body_that_stands_still_is_given_up(tight):
    with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as link:
        link.sendall(head(1000) + FILE[:500])
        began = time.monotonic()
        status, answer = read(link)
        assert status == 408 and answer["error"]["code"] == "upload_timeout"
        assert time.monotonic() - began < 5
        assert link.recv(100) == b""  # and the connection is closed
    assert post(tight, FILE + END)[0] == 200  # its place is free again


def test_where_one_model_is_served_none_must_be_named(tight):
    """Not for events either (vLLM, pull request 36679)."""
    for path in ("/transcribe", "/v1/audio/transcriptions"):
        assert post(tight, FILE + END, path=path)[0] == 200
    link = http.client.HTTPConnection("127.0.0.1", tight.port, timeout=20)
    body = FILE + part(b"stream", b"true") + END
    link.request("POST", "/v1/audio/transcriptions", body, KIND)
    assert b"transcript.text.done" in link.getresponse().read()
    link.close()


def test_a_body_that_trickles_is_given_up_all_the_same(tight):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", tight.port), timeout=0.1) as link:
        link.sendall(head(100_000) + FILE[:500])
        answer = b""
        while not answer and time.monotonic() - began < 15:
            link.sendall(b"x")
            try:
                answer = link.recv(100)
            except TimeoutError:
                pass
    assert b" 408 " in answer


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x"])
def test_a_head_that_never_ends_is_given_up(tight, begun):
    with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as link:
        link.sendall(begun)
        began = time.monotonic()
        assert link.recv(100) == b"" and time.monotonic() - began < 5


def test_what_is_left_of_a_refused_body_is_not_read_for_ever(tight):
    with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as link:
        link.sendall(head(50_000_000))
        assert read(link)[0] == 413
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 8:
                link.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began < 6


def test_a_full_queue_is_told_before_the_body_is_read(tight):
    with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as first:
        first.sendall(head(len(FILE + END)) + FILE[:100])
        time.sleep(0.2)
        with socket.create_connection(("127.0.0.1", tight.port), timeout=10) as second:
            second.sendall(head(len(FILE + END)))  # and not a byte of the body
            answer = http.client.HTTPResponse(second)
            answer.begin()
            error = json.loads(answer.read())["error"]
            assert (answer.status, error["code"]) == (503, "queue_full")
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
            assert "x-should-retry" not in answer.headers
        first.sendall((FILE + END)[100:])
        assert read(first)[0] == 200


def test_the_official_client_comes_back_when_it_is_told_to(tight):
    with (
        openai.OpenAI(base_url=f"{tight.url}/v1", api_key="none", max_retries=8) as client,
        socket.create_connection(("127.0.0.1", tight.port), timeout=10) as first,
    ):
        first.sendall(head(len(FILE + END)) + FILE[:100])
        time.sleep(0.2)
        began = time.monotonic()
        said = client.audio.transcriptions.create(file=("a.wav", wav(1.0)), model="m")
        assert said.text == "w1" and time.monotonic() - began > 0.9  # Retry-After is 1 at least


def test_a_refused_upload_may_still_be_sent_whole(tight):
    """A client that reads nothing before it has sent all must get the answer all the same."""
    status, _, answer = post(tight, part(b"file", b"\0" * 20_000_000, b"a.wav") + END)
    assert status == 413 and answer["error"]["code"] == "file_too_large"


def hostile_names(count):
    """File names that would leave a folder, a line, an alphabet or a buffer."""
    drawn = random.Random(14)
    bits = [b"../", b"..\\", b"/etc/passwd", b"/tmp/", b"C:\\", b"~", b"$(id)", b"`id`", b"|", b";",
            b"\0", b"\x1b[31m", b"%2e%2e%2f", b"%00", b"a" * 300, "й".encode(), "\u202e".encode(),
            b"\xff\xfe", b"\xed\xa0\x80", b"NUL", b"CON", b".", b"..", b"-rf", b"*", b"'", b"\\\"",
            b"<script>", b"{}", b"%s%n", b"\t", b"\x7f", b"file:///", b"http://x/", b"&&", b"\xf0",
            ]  # fmt: skip
    return [b"".join(drawn.choices(bits, k=drawn.randint(1, 6))) for _ in range(count)]


def test_a_thousand_hostile_names_are_only_ever_echoed(tmp_path):
    body = wav(0.05)
    with front(environment={"TMPDIR": str(tmp_path)}, max_queue=4) as running:
        before, memory = traces(running.process.pid), psutil.Process(running.process.pid)
        bytes_before = memory.memory_info().rss
        link = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
        for number, name in enumerate(hostile_names(1000)):
            content = body if number % 10 else body[: number % 100]  # row A10: bad ones among them
            link.request("POST", "/transcribe", part(b"file", content, name) + END, KIND)
            answer = link.getresponse()
            said = json.loads(answer.read())
            assert answer.status in (200, 400), name
            if answer.status == 200:
                echoed = said["filename"]
                assert len(echoed) <= LONGEST_NAME and echoed.isprintable() and "/" not in echoed
        link.close()
        assert memory.memory_info().rss - bytes_before < 50_000_000
        assert os.listdir(tmp_path) == [] and traces(running.process.pid) == before
        log = running.stop()[2]
    assert "passwd" not in log and "<script>" not in log and "Traceback" not in log


def traces(pid):
    """Names in the folder that the service runs in, and the uploads that it has open."""
    uploads = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            uploads.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    uploads = [target for target in uploads if "(deleted)" in target]
    return sorted(os.listdir(f"/proc/{pid}/cwd")), len(uploads)


@pytest.mark.parametrize(
    ("name", "clean"),
    [("../../etc/passwd", "passwd"), ("C:\\talks\\a b.wav", "a b.wav"), ("..", ".."), ("", ""),
     ("a\0\n\x1b[1mb.wav", "a[1mb.wav"), ("\u202efdp.wav", "fdp.wav"), ("日本語.ogg", "日本語.ogg"),
     ("x" * 400, "x" * LONGEST_NAME)],
)  # fmt: skip
def test_a_name_is_made_harmless_for_its_echo(name, clean):
    assert clean_name(name) == clean


def test_a_service_that_could_keep_no_upload_does_not_start(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    with pytest.raises(UserError, match="Mount a tmpfs at /tmp"):
        check_room()


def test_a_full_disk_is_a_reason_to_come_back_and_no_fault_of_the_client():
    with front() as running:
        psutil.Process(running.process.pid).rlimit(psutil.RLIMIT_FSIZE, (100_000, -1))
        status, headers, answer = post(running, part(b"file", wav(60.0), b"a.wav") + END)
        assert (status, answer["error"]["code"]) == (503, "no_room")
        assert int(headers["Retry-After"]) == 60 and "Traceback" not in running.log
        assert post(running, part(b"file", wav(1.0), b"a.wav") + END)[0] == 200
