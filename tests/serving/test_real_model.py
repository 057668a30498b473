"""The command, its workers and a model that was exported: what a user of the service has."""

import io
import json
import subprocess
import sys
import urllib.request

import numpy as np
import openai
import psutil
import pytest
import soundfile

from asr_dro_plugin.runtime.recogniser import Recogniser
from tests.runtime.conftest import experiment, exported  # noqa: F401  fixtures
from tests.serving.fronts import Front
from tests.shared_files import NotHere, recordings

RATE = 16000


@pytest.fixture(scope="module")
def running(exported, tmp_path_factory):  # noqa: F811
    """``asr-dro serve`` of the folder, under two names."""
    command = [sys.executable, "-m", "asr_dro_plugin.bin.main", "serve", "--port", "0",
               "--workers", "2", str(exported), f"again={exported}"]  # fmt: skip
    with (
        open(tmp_path_factory.mktemp("serve") / "log", "w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield Front(process, log).wait_ready()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def client(running):
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0,
                       _strict_response_validation=True) as made:  # fmt: skip
        yield made


def noise(seconds, seed=0):
    """Sound that an untrained model hears letters in, and its file."""
    drawn = np.random.default_rng(seed)
    loudness = np.repeat(drawn.uniform(0.01, 0.3, int(seconds * 10) + 1), RATE // 10)
    samples = drawn.standard_normal(round(seconds * RATE)) * loudness[: round(seconds * RATE)]
    samples = np.clip(samples, -1, 1).astype(np.float32)
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, format="WAV", subtype="FLOAT")
    return samples, content.getvalue()


@pytest.fixture(scope="module")
def recogniser(exported):  # noqa: F811
    return Recogniser(exported)


@pytest.mark.parametrize("seconds", [2.0, 75.0])
def test_the_service_says_what_the_recogniser_says(client, recogniser, seconds):
    samples, content = noise(seconds)
    wanted = recogniser.transcribe(samples, times=True)
    said = client.audio.transcriptions.create(
        file=("a.wav", content), model="again", response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )  # fmt: skip
    words = [(word.word, word.start, word.end) for word in said.words]
    assert words == [(each.text, round(each.start, 3), round(each.end, 3))
                     for each in wanted.best.words]  # fmt: skip
    assert words and " ".join(word for word, _, _ in words) == said.text
    plain = client.audio.transcriptions.create(file=("a.wav", content), model="again")
    assert plain.text == said.text  # for which no times were computed
    assert said.duration == pytest.approx(seconds, abs=0.01)
    assert " ".join(segment.text for segment in said.segments) == said.text


def test_events_of_a_long_recording_come_before_its_end_and_make_its_text(client):
    _, content = noise(95.0, 1)
    whole = client.audio.transcriptions.create(file=("a", content), model="again").text
    events = list(client.audio.transcriptions.create(file=("a", content), model="again",
                                                     stream=True))  # fmt: skip
    assert [event.type for event in events].count("transcript.text.done") == 1
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == whole
    assert len(events) > 2


def test_a_language_is_forced_or_chosen_from_several(client, recogniser):
    _, content = noise(2.0)
    for code in recogniser.manifest.languages:
        said = client.audio.transcriptions.create(file=("a", content), model="again", language=code)
        assert [language.code for language in said.languages] == [code]
    code = recogniser.manifest.languages[-1]
    said = client.audio.transcriptions.create(file=("a", content), model="again", languages=[code])
    assert [language.code for language in said.languages] == [code]
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(file=("a", content), model="again", language="xho")


def test_the_card_is_the_manifest(running, client, recogniser, exported):  # noqa: F811
    manifest = json.loads((exported / "asr_dro_onnx.json").read_text())
    with urllib.request.urlopen(f"{running.url}/inferencer_config?model=again") as answer:
        card = json.load(answer)
    assert {key: card[key] for key in manifest} == manifest
    with urllib.request.urlopen(f"{running.url}/model_config?model=again") as answer:
        assert json.load(answer)["vocab"] == list(recogniser.manifest.tokens)
    assert [model.id for model in client.models.list()] == [exported.name, "again"]


def test_silence_left_out_moves_no_word(client):
    """Row A12: a second of silence, speech, a second of silence."""
    try:
        rows = recordings()
    except NotHere as reason:
        pytest.skip(str(reason))
    speech, rate = soundfile.read(rows[0]["audio"], dtype="float32")
    assert rate == RATE
    silence = np.zeros(RATE, np.float32)
    content = io.BytesIO()
    soundfile.write(content, np.concatenate([silence, speech, silence]), RATE, format="FLAC")
    said = client.audio.transcriptions.create(
        file=("a.flac", content.getvalue()), model="again", response_format="verbose_json",
        timestamp_granularities=["word"], chunking_strategy="auto",
    )  # fmt: skip
    assert said.words and said.words[0].start >= 0.9
    assert said.words[-1].end <= 1.2 + len(speech) / RATE
    assert said.duration == pytest.approx(2 + len(speech) / RATE, abs=0.01)


def test_no_process_of_it_has_torch_and_the_front_decodes_nothing(running):
    front = psutil.Process(running.process.pid)
    assert len(front.children()) == 2
    for process in (front, *front.children()):
        libraries = {each.path for each in process.memory_maps(grouped=True)}
        assert not [path for path in libraries if "torch" in path], process
        is_front = process.pid == front.pid
        for package in ("numpy", "onnxruntime"):
            assert any(f"/{package}" in path for path in libraries) != is_front, package


def test_a_stop_leaves_no_process(running):
    workers = psutil.Process(running.process.pid).children()
    code, out, log = running.stop()
    assert code == 0 and "stopped" in out and "Traceback" not in log
    psutil.wait_procs(workers, timeout=5)
    assert not any(worker.is_running() for worker in workers)
