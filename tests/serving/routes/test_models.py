"""Cards of the served models: row A13 of the predecessors."""

import asyncio

import httpx2
import pytest

from asr_dro_plugin.serving.app import create_app
from asr_dro_plugin.serving.routes.models import hours_of
from asr_dro_plugin.serving.settings import ServiceSettings

MANIFEST = {
    "name": "asr_x", "tokens": ["<blank>", "a", "b"], "blank_id": 0, "languages": ["eng", "pol"],
    "sample_rate": 16000, "decode": {"mode": "lm", "lm_weight": 0.5, "word_score": 1.5,
                                     "beam_size": 100, "chunk_length": 16.0},
    "training": {"seen": [
        {"group": "eng", "corpus": "mls", "seconds": 3600.0},
        {"group": "pol", "corpus": "mls", "seconds": 1800.0},
        {"group": "pol", "corpus": "common_voice", "seconds": 900.0}]},
}  # fmt: skip


class Loading:
    """A pool without a model yet."""

    ready, models, counts = False, {}, {}


class Loaded(Loading):
    ready, models = True, {"x": MANIFEST}


class Two(Loading):
    ready, models = True, {"org/x": MANIFEST, "y": MANIFEST}


def ask(pool, path):
    """(status, JSON)."""

    async def get():
        app = create_app(ServiceSettings(), pool())
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://x"
        ) as client:
            answer = await client.get(path)
            return answer.status_code, answer.json()

    return asyncio.run(get())


def test_a_card_is_there_once_the_model_is():
    for path in ("/model_config", "/inferencer_config"):
        assert ask(Loading, path) == (503, {"status": "loading"})
        assert ask(Loaded, path)[0] == 200


def test_the_short_card_has_what_ml4audios_had():
    card = ask(Loaded, "/model_config")[1]
    assert card["vocab"] == ["<blank>", "a", "b"] and card["status"] == "ready"
    assert (card["alpha"], card["beta"], card["beam"], card["chunk"]) == (0.5, 1.5, 100, 16.0)
    assert card["hours"] == {"mls": 1.5, "common_voice": 0.25}


def test_the_hours_of_an_imported_model_are_those_of_its_card():
    rows = [{"name": "mls", "hours": 917.68, "factor": 0.1}, {"name": "slr71", "hours": 7.149}]
    assert hours_of({"imported": {"corpora": rows}}) == {"mls": 917.68, "slr71": 7.149}
    assert hours_of({}) == {}


def test_the_whole_card_is_the_manifest():
    card = ask(Loaded, "/inferencer_config")[1]
    assert {key: card[key] for key in MANIFEST} == MANIFEST


def test_of_several_models_one_must_be_named():
    status, answer = ask(Two, "/model_config")
    assert status == 400 and "org/x, y" in answer["error"]["message"]
    assert ask(Two, "/model_config?model=y")[1]["model"] == "y"
    assert ask(Two, "/model_config?model=z")[0] == 404


@pytest.mark.parametrize("path", ["/v1/models/org/x", "/v1/models/org%2Fx"])
def test_a_model_may_have_a_slash_in_its_name(path):
    status, answer = ask(Two, path)
    assert status == 200 and answer["id"] == "org/x" and answer["languages"] == ["eng", "pol"]
