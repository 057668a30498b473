"""The command: which models, which settings, and what it refuses before it listens."""

import zipfile

import pytest

from asr_dro_plugin.bin.serving import serve
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.serving import server
from tests.docs.pages import blocks


@pytest.fixture
def models(tmp_path):
    """A folder with two exported models, one of them packed."""
    (tmp_path / "pol").mkdir()
    (tmp_path / "pol/asr_dro_onnx.json").write_text("{}")
    with zipfile.ZipFile(tmp_path / "eng.zip", "w") as archive:
        archive.writestr("asr_dro_onnx.json", "{}")
    return tmp_path


@pytest.fixture
def told(monkeypatch):
    """The settings that the command would have served with."""
    found = []
    monkeypatch.setattr(server, "run", lambda settings, say: found.append(settings) or 0)
    monkeypatch.delenv(serve.API_KEY, raising=False)

    def settings(*arguments):
        serve.main([str(word) for word in arguments])
        return found[-1]

    return settings


def test_models_are_called_by_their_folders_or_as_they_are_told(models, told, monkeypatch):
    assert told(models / "pol", models / "eng.zip").models == {
        "pol": str(models / "pol"), "eng": str(models / "eng.zip")}  # fmt: skip
    assert list(told(f"org/polish={models / 'pol'}").models) == ["org/polish"]
    assert sorted(told("--model-root", models).models) == ["eng", "pol"]
    monkeypatch.chdir(models / "pol")
    assert told(".").models == {"pol": "."}


def test_a_yaml_has_settings_and_options_go_before_it(models, told, tmp_path):
    (tmp_path / "serve.yaml").write_text(
        f"models:\n    polish: {models / 'pol'}\nport: 9000\nvad: true\nmax_seconds: 60\n"
        "origins: [https://lab.example]\n"
    )
    settings = told("--config", tmp_path / "serve.yaml", "--port", "0")
    assert (settings.port, settings.vad, settings.max_seconds) == (0, True, 60)
    assert settings.models == {"polish": str(models / "pol")}
    assert settings.origins == ("https://lab.example",)
    assert told(models / "pol").port == 8000


def test_the_yaml_of_the_documents_is_one(told, tmp_path, monkeypatch):
    monkeypatch.setattr(serve, "check_model", lambda path: None)
    shown = next(content for page, content in blocks("yaml") if "workers: 4" in content)
    (tmp_path / "serve.yaml").write_text(shown)
    assert told("--config", tmp_path / "serve.yaml").workers == 4


def test_a_key_comes_from_a_file_or_the_environment_and_never_from_the_command_line(
    models, told, tmp_path, monkeypatch
):
    assert told(models / "pol").api_key == ""
    (tmp_path / "key").write_text("from-a-file\n")
    assert told(models / "pol", "--api_key_file", tmp_path / "key").api_key == "from-a-file"
    monkeypatch.setenv(serve.API_KEY, "from-outside")
    assert told(models / "pol").api_key == "from-outside"
    with pytest.raises(SystemExit):
        told(models / "pol", "--api_key", "x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Which model?"),
        (["nowhere"], "There is no model nowhere"),
        (["."], "is no exported model: it has no asr_dro_onnx.json"),
        (["x="], "Write NAME=PATH"),
        (["--model_root", "nowhere"], "is no folder"),
        (["--model_root", "empty"], "has no exported model in it"),
        (["--model_root", "ml4audio"], "is a model directory of ml4audio. Convert it"),
        (["models/pol", "models/copy/pol"], "Two models are called 'pol'"),
        (["models/pol", "--port", "70000"], "port must be at least 0 and at most 65535"),
        (["models/pol", "--config", "wrong.yaml"], "'ports' is no argument. Did you mean 'port'?"),
        (["models/pol", "--config", "kind.yaml"], "kind.yaml: vad must be true or false"),
        (["models/pol", "--config", "key.yaml"], "'api_key' is no argument"),
        (["models/pol", "--api_key_file", "none"], "cannot be read"),
        (["models/pol", "--api_key_file", "void"], "is empty"),
    ],
)
def test_what_cannot_be_served_is_refused_with_one_line(
    models, told, tmp_path, monkeypatch, arguments, said
):
    root = tmp_path / "here"
    for folder in ("empty", "ml4audio/AM_MODELS", "models/pol", "models/copy/pol"):
        (root / folder).mkdir(parents=True)
    for name in ("models/pol", "models/copy/pol"):
        (root / name / "asr_dro_onnx.json").write_text("{}")
    for name, text in {"wrong.yaml": "ports: 1\n", "kind.yaml": "vad: 1\n", "void": "\n",
                       "key.yaml": "api_key: x\n"}.items():  # fmt: skip
        (root / name).write_text(text)
    monkeypatch.chdir(root)
    with pytest.raises(UserError) as raised:
        told(*arguments)
    assert said in str(raised.value) and "\n" not in str(raised.value)
