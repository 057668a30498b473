"""downloads.fetch: nothing is trusted because it exists, and nothing is fetched twice."""

import hashlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import downloads

CONTENT = bytes(range(256)) * 2000
SUM = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """A server with ranges that can break off, lie, redirect and count."""

    def do_HEAD(self):
        self.server.log.append("HEAD")
        if self.server.redirect and self.path == "/file":
            self.send_response(302)
            self.send_header("Location", "/storage")
            self.send_header("X-Linked-Etag", f'"{SUM}"')
            self.send_header("X-Linked-Size", str(len(CONTENT)))
        elif self.path == "/missing":
            self.send_response(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            if self.server.etag:
                self.send_header("ETag", self.server.etag)
        self.end_headers()

    def do_GET(self):
        if self.server.redirect and self.path == "/file":
            self.send_response(302)
            self.send_header("Location", "/storage")
            self.end_headers()
            return
        content, start = self.server.content, 0
        if "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.server.log.append(f"GET {start}")
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = self.server.breaks.pop(0) if self.server.breaks else len(content)
        self.wfile.write(content[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "PAUSE", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.content, httpd.etag, httpd.redirect = CONTENT, '"1"', False
    httpd.breaks, httpd.log = [], []
    httpd.url = f"http://127.0.0.1:{httpd.server_address[1]}/file"
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def file_url(tmp_path):
    source = tmp_path / "source" / "file"
    source.parent.mkdir()
    source.write_bytes(CONTENT)
    return source.as_uri()


def test_a_verified_file_is_not_asked_for_again(server, tmp_path):
    path = downloads.fetch(server.url, tmp_path / "d" / "file", SUM, len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert (tmp_path / "d" / "file.sha256").read_text() == f"{SUM}  file\n"
    before = list(server.log)
    downloads.fetch(server.url, path, SUM, len(CONTENT))
    downloads.fetch(server.url, path)  # the sum beside it vouches for it too
    assert server.log == before


def test_a_truncated_file_is_fetched_again(file_url, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:1000])
    assert downloads.fetch(file_url, path, SUM).read_bytes() == CONTENT


def test_a_file_that_nothing_vouches_for_is_fetched_again(file_url, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"left by someone")
    assert downloads.fetch(file_url, path).read_bytes() == CONTENT
    assert downloads.verify(path)


def test_damage_after_the_first_fetch_is_found_by_the_sum_beside_it(file_url, tmp_path):
    path = downloads.fetch(file_url, tmp_path / "file")
    path.write_bytes(CONTENT[:-1] + b"x")
    assert not downloads.verify(path)
    assert downloads.fetch(file_url, path).read_bytes() == CONTENT


def test_a_wrong_sum_is_an_error_and_leaves_nothing(file_url, tmp_path):
    path = tmp_path / "d" / "file"
    with pytest.raises(UserError, match="twice; nothing was kept"):
        downloads.fetch(file_url, path, "0" * 64)
    assert not path.exists() and not list(path.parent.glob("*.part"))


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.breaks = [1000, 300_000]
    downloads.fetch(server.url, tmp_path / "file", SUM)
    assert [line for line in server.log if line != "HEAD"] == ["GET 0", "GET 1000", "GET 300000"]


def test_a_part_left_by_a_killed_process_is_resumed(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:5000])
    assert downloads.fetch(server.url, tmp_path / "file", SUM).read_bytes() == CONTENT
    assert server.log[-1] == "GET 5000"


def test_a_part_of_another_file_costs_one_more_try_only(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 5000)
    assert downloads.fetch(server.url, tmp_path / "file", SUM).read_bytes() == CONTENT


def test_without_a_sum_a_part_is_resumed_only_if_it_is_of_the_same_version(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:5000])
    (tmp_path / "file.part.etag").write_text('"0"')
    assert downloads.fetch(server.url, tmp_path / "file").read_bytes() == CONTENT
    assert server.log[-1] == "GET 0"
    (tmp_path / "again.part").write_bytes(CONTENT[:5000])
    (tmp_path / "again.part.etag").write_text('"1"')
    assert downloads.fetch(server.url, tmp_path / "again").read_bytes() == CONTENT
    assert server.log[-1] == "GET 5000"


def test_a_server_that_always_breaks_off_is_an_error_that_keeps_the_part(server, tmp_path):
    server.breaks = [10, 20, 30, 40]
    with pytest.raises(UserError, match="stopped after 40 of 512000 bytes, 4 times"):
        downloads.fetch(server.url, tmp_path / "file", SUM)
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.part").stat().st_size == 40


def test_the_sum_that_hugging_face_states_on_its_redirect_is_used(server, tmp_path):
    server.redirect = True
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(UserError, match=f"instead of {SUM}"):
        downloads.fetch(server.url, tmp_path / "file")
    server.content = CONTENT
    assert downloads.fetch(server.url, tmp_path / "file").read_bytes() == CONTENT


def test_a_replaced_source_is_told_from_a_damaged_copy(server, tmp_path):
    server.redirect = True
    with pytest.raises(UserError, match="was replaced at its source"):
        downloads.fetch(server.url, tmp_path / "file", "1" * 64)


def test_two_processes_fetch_once(server, tmp_path):
    script = (
        "import sys; from asr_dro_plugin.pretrained.downloads import fetch; fetch(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, server.url, str(tmp_path / "file"), SUM]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    assert server.log.count("GET 0") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/file", "file:///nowhere/at/all"])
def test_without_a_network_one_line_tells_where_to_put_the_file(url, tmp_path, monkeypatch):
    monkeypatch.delenv("http_proxy", raising=False)
    with pytest.raises(UserError, match="put the file at") as caught:
        downloads.fetch(url, tmp_path / "file", SUM)
    assert str(tmp_path / "file") in str(caught.value) and SUM in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_put_there_by_hand_with_its_sum_is_taken(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    (tmp_path / "file.sha256").write_text(f"{SUM}  file\n")
    assert downloads.fetch("http://127.0.0.1:9/file", tmp_path / "file").is_file()


def test_an_address_that_is_gone_says_so(server, tmp_path):
    with pytest.raises(UserError, match="404"):
        downloads.fetch(server.url.replace("/file", "/missing"), tmp_path / "file")


def test_a_full_disk_is_told_before_the_download(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="GB free"):
        downloads.fetch(server.url, tmp_path / "file", SUM)
    assert not [line for line in server.log if line.startswith("GET")]
