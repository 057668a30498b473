"""docs/serving.md, From Python: what it shows runs, on a folder of that name."""

import soundfile

from asr_dro_plugin.serving import function
from tests.docs.pages import ROOT, blocks
from tests.export.onnx.exps import speech
from tests.runtime.conftest import experiment, exported  # noqa: F401  the fixtures


def test_the_block_of_python_runs(exported, tmp_path, monkeypatch, capsys):  # noqa: F811
    (tmp_path / "for_others").symlink_to(exported)
    soundfile.write(tmp_path / "talk.wav", speech(40 * 16000), 16000)
    monkeypatch.chdir(tmp_path)
    ((page, block),) = blocks("python runtime")
    exec(compile(block, page, "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0].split()[0] in ("deu", "eng") and told[-1] == "40.0" and len(told) > 20


def test_the_functions_names_are_those_of_the_page():
    page = (ROOT / "docs/serving.md").read_text("utf-8")
    for name in (function.MODEL, function.THREADS, function.MAX_SECONDS):
        assert f"export {name}=" in page
    assert f"{function.__name__}.{function.handler.__name__}" in page
