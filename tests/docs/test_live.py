"""docs/serving.md, Live: what it shows can be run, and which stacks it calls exact are."""

import re
import subprocess
import sys
import wave

import pytest

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.runtime.live.frames import LONGEST_CONTEXT
from asr_dro_plugin.stack.receptive_field import receptive_field
from tests.docs.pages import ROOT, blocks
from tests.runtime.live.tones import ToneRecogniser, pcm, says
from tests.serving.fronts import front

SERVED, ALONE = (block for _, block in blocks("python live"))


@pytest.fixture
def folder(tmp_path):
    """Where the page's lines are typed: somebody says two words there, at 24 kHz."""
    from asr_dro_plugin.audio.files import resample

    sound = pcm(resample(says("abc de"), 16000, 24000))
    (tmp_path / "talk.pcm").write_bytes(sound)
    with wave.open(str(tmp_path / "talk.wav"), "wb") as talk:
        talk.setparams((1, 2, 24000, 0, "NONE", ""))
        talk.writeframes(sound)
    return tmp_path


def test_the_official_client_is_answered(folder):
    with front(models={"tones": "."}) as running:
        block = SERVED.replace("http://127.0.0.1:8000", running.url).replace("for_others", "tones")
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True,
                              timeout=60, check=False, cwd=folder)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "abc de\n= abc de\n"), done.stderr


def test_a_session_without_a_service_says_what_is_said(folder, monkeypatch, capsys):
    monkeypatch.setattr("asr_dro_plugin.runtime.recogniser.Recogniser", lambda _: ToneRecogniser())
    monkeypatch.chdir(folder)
    exec(compile(ALONE, "docs/serving.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "[] abc" and told[-1].startswith("Final(words=(Unit(text='abc'")


def test_the_table_calls_exact_what_is():
    page = (ROOT / "docs/serving.md").read_text("utf-8")
    rows = re.findall(r"^\| (.*conf/train_\S+.*) \| (exact|windows|not)\b", page, re.M)
    called = {
        name for row, how in rows if how == "exact" for name in re.findall(r"conf/\S+?yaml", row)
    }
    paths = sorted((ROOT / "conf").glob("train_asr_*.yaml"))
    fields = {f"conf/{path.name}": receptive_field(load_config(path)) for path in paths}
    is_exact = {name for name, field in fields.items()
                if field.is_finite and field.num_samples <= LONGEST_CONTEXT}  # fmt: skip
    assert called == is_exact != set()
    assert "81 s" in page and "1.65 s" in page
