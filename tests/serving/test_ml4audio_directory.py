"""Row A2: a model directory of ml4audio's service serves, from wherever it is moved to."""

import json
import shutil
import subprocess
import sys
import urllib.request

import pytest
import soundfile

from asr_dro_plugin.export.onnx.folder import export_onnx
from tests import hf_models
from tests.importing.reading import imported
from tests.importing.test_ml4audio import whole  # noqa: F401  the directory

COMMAND = (
    sys.executable,
    "-m",
    "asr_dro_plugin.bin.main",
    "serve",
    "--port",
    "0",
    "--workers",
    "1",
)


@pytest.fixture(scope="module")
def exported(whole, tmp_path_factory):  # noqa: F811
    """A folder that holds the exported model, and nothing of what it was made of."""
    top = tmp_path_factory.mktemp("a2")
    exp = imported("ml4audio", whole, top / "exp")
    export_onnx(exp, top / "models" / "toy")
    shutil.rmtree(exp)
    return top / "models"


def post(url, path):
    done = subprocess.run(
        ["curl", "-s", "-F", f"file=@{path}", f"{url}/transcribe"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def served(root, audio):
    """(Answer to a recording, short card) of a service of the models in a folder."""
    with subprocess.Popen(
        [*COMMAND, "--model_root", str(root)], stdout=subprocess.PIPE, text=True
    ) as run:
        try:
            url = run.stdout.readline().split()[2]
            assert "ready" in run.stdout.readline()
            with urllib.request.urlopen(f"{url}/model_config") as answer:
                return post(url, audio), json.load(answer)
        finally:
            run.terminate()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
def test_the_transcript_is_the_same_where_the_folder_was_moved_to(exported, tmp_path):
    audio = tmp_path / "a.wav"
    soundfile.write(audio, hf_models.speech(3.0)[0].numpy(), 16000)
    before, card = served(exported, audio)
    assert before["text"] and before["chunks"]
    assert (card["alpha"], card["beta"], card["beam"], card["chunk"]) == (0.5, 1.5, 100, 16.0)
    assert card["training"]["imported"]["corpora"][0]["hours"] == 917.68
    moved = shutil.move(exported, tmp_path / "moved somewhere else")
    after, _ = served(moved, audio)
    assert after["text"] == before["text"] and after["chunks"] == before["chunks"]
