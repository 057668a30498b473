"""The hub's models by name: fetched once, verified, pinned to a commit; one line where it fails.

A server on this machine answers as the hub does.
"""

import hashlib
import http.server
import json
import shutil
import threading

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import hub
from asr_dro_plugin.pretrained.catalogue import resolve_checkpoint
from asr_dro_plugin.stack.ssl_checkpoint import resolve_for

pytest.importorskip("huggingface_hub")
pytest_plugins = ["tests.fixtures_ssl"]

COMMIT, LATER = "1" * 40, "2" * 40
MODEL = "org/tiny-model"
OWN = {"encoder": "hf_wav2vec2", "ssl_checkpoint": MODEL}


class Hub:
    """The files of one model; ``asked`` holds the requests."""

    def __init__(self, folder) -> None:
        self.folder, self.commit, self.asked = folder, COMMIT, []
        self.damaged = ""

    def info(self) -> dict:
        """What the hub's API says of the model."""
        siblings = []
        for path in sorted(self.folder.iterdir()):
            content = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry = {"rfilename": path.name, "size": len(content), "blobId": blob}
            if path.suffix in (".safetensors", ".bin"):
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        return {"id": MODEL, "sha": self.commit, "siblings": siblings, "private": False}

    def tree(self) -> list[dict]:
        """The same as a listing."""
        return [
            {"type": "file", "path": row["rfilename"], "size": row["size"], "oid": row["blobId"]}
            for row in self.info()["siblings"]
        ]

    def content(self, name: str) -> bytes | None:
        """A file of the model, or None."""
        path = self.folder / name
        if not path.is_file():
            return None
        return b"x" * path.stat().st_size if name == self.damaged else path.read_bytes()


@pytest.fixture
def served(tiny_ssl, tmp_path, monkeypatch):
    """A hub with the tiny model, whose address the client is given."""
    folder = tmp_path / "served"
    shutil.copytree(tiny_ssl.hf, folder)
    (folder / "README.md").write_text("not wanted")
    made = Hub(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            made.asked.append(self.path)
            parts = self.path.split("?")[0].split("/")
            if self.path.startswith(f"/api/models/{MODEL}"):
                known = parts[-1] in ("main", COMMIT, LATER)
                told = made.tree() if "tree" in parts else made.info()
                content = json.dumps(told).encode() if known else None
            else:
                content = made.content(parts[-1])
            self.send_response(200 if content is not None else 404)
            content = content or b"{}"
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", made.commit)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_args):
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.chdir(tmp_path)
    yield made
    server.shutdown()


def test_a_model_is_fetched_verified_and_pinned(served, tmp_path):
    folder = hub.fetch_model(MODEL, tmp_path / "downloads")
    assert folder == tmp_path / "downloads/org--tiny-model" / COMMIT
    weights = (served.folder / "model.safetensors").read_bytes()
    assert (folder / "model.safetensors").read_bytes() == weights
    assert not (folder / "README.md").exists()
    assert (tmp_path / "downloads/org--tiny-model/refs/main").read_text().strip() == COMMIT


def test_what_is_here_is_not_asked_for_again(served, tmp_path):
    first = hub.fetch_model(MODEL, tmp_path)
    served.asked.clear()
    served.commit = LATER
    assert hub.fetch_model(MODEL, tmp_path) == first and not served.asked


def test_what_was_torn_off_is_fetched_again(served, tmp_path):
    folder = hub.fetch_model(MODEL, tmp_path)
    (folder / "hub.json").unlink()  # which is written last
    (folder / "model.safetensors").unlink()
    hub.fetch_model(MODEL, tmp_path)
    wanted = (served.folder / "model.safetensors").read_bytes()
    assert (folder / "model.safetensors").read_bytes() == wanted


def test_a_revision_is_taken_and_kept_beside_the_others(served, tmp_path):
    hub.fetch_model(MODEL, tmp_path)
    served.commit = LATER
    assert hub.fetch_model(f"{MODEL}@{LATER}", tmp_path).name == LATER
    assert hub.fetch_model(MODEL, tmp_path).name == COMMIT


def test_a_file_that_came_with_another_sum_is_not_kept(served, tmp_path):
    served.damaged = "model.safetensors"
    with pytest.raises(UserError, match="another SHA-256") as caught:
        hub.fetch_model(MODEL, tmp_path)
    assert "\n" not in str(caught.value) and hub.here(MODEL, tmp_path) is None
    assert not list(tmp_path.rglob("org--tiny-model/*/model.safetensors"))
    served.damaged = ""
    assert hub.fetch_model(MODEL, tmp_path)


@pytest.mark.parametrize("name", ["org/other", f"{MODEL}@nowhere"])
def test_what_the_hub_does_not_have_is_one_line(name, served, tmp_path):
    with pytest.raises(UserError, match="the hub does not give it") as caught:
        hub.fetch_model(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_offline_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"no file or folder here.*go online") as caught:
        resolve_checkpoint(MODEL, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_without_weights_that_are_known_says_so(served, tmp_path):
    (served.folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds neither model.safetensors nor pytorch_model.bin"):
        hub.fetch_model(MODEL, tmp_path)


def test_safetensors_are_taken_where_there_are_both(served, tmp_path):
    (served.folder / "pytorch_model.bin").write_bytes(b"not wanted")
    assert not (hub.fetch_model(MODEL, tmp_path) / "pytorch_model.bin").exists()


def test_a_stack_finds_it_by_name(served):
    """Before it is fetched its sizes are unknown; then they are the file's."""
    before = resolve_for(OWN, fetch=False)
    assert (before.layout, before.output_size, before.model_config) == ("hf", None, None)
    after = resolve_for(OWN)
    assert after.output_size == 16 and after.model_config["_name_or_path"] == MODEL
    assert resolve_for(OWN, fetch=False) == after


@pytest.mark.parametrize("name", ["a", "a/b/c", "/a/b", "a/b@", "../b", "a/..", "a/b@../c"])
def test_paths_are_no_names_of_the_hub(name):
    assert not hub.is_hub_id(name)


@pytest.mark.parametrize("name", ["facebook/wav2vec2-xls-r-300m", "a/b@main", f"a/b@{COMMIT}"])
def test_names_of_the_hub_are_known(name):
    assert hub.is_hub_id(name)
