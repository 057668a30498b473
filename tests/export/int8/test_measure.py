"""Candidates measured on speech: which is kept, and what the card says."""

from dataclasses import replace

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.int8 import measure
from asr_dro_plugin.export.int8.candidates import Candidate
from asr_dro_plugin.export.int8.choice import Measured, as_data, card_section, chosen
from asr_dro_plugin.export.int8.errors import LossGate
from asr_dro_plugin.export.int8.speed import Speed
from tests.export.int8 import toy_graph

FACTS = {"few": {}, "not_measured": [], "set": "dev", "seconds": 1, "utterances": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return toy_graph.write_model(tmp_path_factory.mktemp("toy") / "model.onnx", products=2)


@pytest.fixture(scope="module")
def setting(model):
    references = toy_graph.references(model, model.parent)
    calibration = toy_graph.speech(6, seed=5)
    return measure.Setting(references, calibration, toy_graph.READ, rounds=2)


def broken(model, out, _calibration):
    """The model with weights of another one."""
    toy_graph.write_model(out, products=2, seed=1)


def row(name, ratio, size=10, worse=0.0, significant=False, utterances=50):
    candidate = Candidate(name, "", broken)
    language = {
        "utterances": utterances,
        "significant": significant,
        "difference": worse,
        "ci": (worse - 0.01, worse + 0.01),
    }
    comparison = {"languages": {"eng": language}}
    return Measured(candidate, "file", "", size, {1: Speed(9, ratio)}, 0.1, comparison)


BASE = Measured(None, "file", "", 40, {1: Speed(9, 1.0)})


def test_the_fastest_that_passes_the_gate_is_chosen():
    rows = [BASE, row("fast", 2.0, worse=0.1, significant=True), row("slower", 1.3), row("same", 1)]
    assert chosen(rows, LossGate()).name == "slower"


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (row("a", 0.6), "smaller, but slower"),
        (row("b", 1.01, size=39), "neither faster nor smaller"),
        (row("c", 2.0, worse=0.02, significant=True), "worse in eng"),
        (Measured(Candidate("d", "", broken), reason="it cannot be made"), "it cannot be made"),
    ],
    ids="abcd",
)
def test_fp32_is_the_default_where_no_candidate_will_do(candidate, why):
    assert candidate.verdict(BASE, LossGate()) == why
    assert chosen([BASE, candidate], LossGate()).name == "fp32"


def test_a_smaller_file_as_fast_will_do():
    assert chosen([BASE, row("stored", 0.98)], LossGate()).name == "stored"


def test_of_few_utterances_a_language_may_lose_nothing():
    few = row("a", 2.0, worse=0.01, utterances=19)
    assert few.verdict(BASE, LossGate()) == "worse in eng"
    assert row("b", 2.0, worse=-0.01, utterances=19).verdict(BASE, LossGate()) == ""
    assert row("c", 2.0, worse=0.01, utterances=20).verdict(BASE, LossGate()) == ""


def test_a_tolerance_is_of_the_upper_end_of_the_interval():
    candidate = row("a", 2.0, worse=0.005)
    assert candidate.verdict(BASE, LossGate.of("1.4")) == "worse in eng"
    assert candidate.verdict(BASE, LossGate.of("1.5")) == ""


@pytest.mark.parametrize("word", ["strict", "-1", "nan", "101"])
def test_a_gate_is_a_word_or_percent(word):
    with pytest.raises(UserError, match="neither 'significant' nor percent"):
        LossGate.of(word)


def test_one_is_kept_beside_the_model_and_all_are_in_the_card(model, setting):
    before = model.read_bytes()
    data = measure.add_int8(model, replace(setting, languages=["eng", "deu"]))
    assert model.read_bytes() == before
    names = [each["name"] for each in data["rows"]]
    assert names == ["fp32", "dynamic", "dynamic_per_channel", "static", "stored"]
    assert all(set(each["speed"]) == {"1", "2"} for each in data["rows"])
    assert data["chosen"] in names and data["rows"][0]["cer"] == 0
    made = {path.name for path in model.parent.iterdir()} - {"model.onnx"}
    assert made == (set() if data["chosen"] == "fp32" else {"model.int8.onnx"})
    card = "\n".join(card_section(data))
    assert all(f"| {name} |" in card for name in names)
    assert "No utterance of deu" in card and "Only 12 utterances of eng" in card
    assert data["processor"]["name"] in card


def test_a_candidate_that_hears_something_else_is_refused(model, setting, tmp_path, monkeypatch):
    other = toy_graph.write_model(tmp_path / "model.onnx", products=2)
    monkeypatch.setattr(measure, "CANDIDATES", [Candidate("broken", "", broken)])
    data = measure.add_int8(other, setting)
    assert data["chosen"] == "fp32"
    assert data["rows"][1]["why_not"] == "worse in eng fra"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert "fp32 is the default" in "\n".join(card_section(data))


def test_what_onnxruntime_cannot_make_is_told_and_left_out(model, tmp_path):
    def fails(*_):
        raise RuntimeError("no kernel\nfor this")

    row = measure.made(Candidate("odd", "", fails), model, tmp_path, ())
    assert row.reason == "onnxruntime cannot make it (no kernel for this)"
    facts = {**FACTS, "processor": {"name": "x", "dot_products": []}}
    assert "- odd could not be made" in "\n".join(
        card_section(as_data([BASE, row], LossGate(), facts))
    )
