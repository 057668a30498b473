"""``asr-dro tune-lm`` with a tiny trained experiment and an n-gram of its training text."""

import argparse
import json
import re
import shutil

import pytest
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin import tune_lm
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import SomeLeftOut, UserError
from asr_dro_plugin.lm.build import LmSettings, build_lm
from asr_dro_plugin.lm.grid import Trial, Trials
from asr_dro_plugin.text.normalizers import split_tag

CONFIG = "mode: lm\nbeam_size: 10\nblank_threshold: 1.0\nword_score: 0.0\n"


@pytest.fixture(scope="module")
def lm_dir(dump, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    lines = [split_tag(text)[1] for text in read_table(dump / "train" / "text").values()]
    (folder / "text").write_text("".join(f"{line}\n" for line in lines * 3))
    build_lm(folder / "text", folder / "lm", "joint", LmSettings(order=2, estimator="builtin"))
    return folder / "lm"


@pytest.fixture
def words(trained, dump, lm_dir, tmp_path):
    (tmp_path / "decode_asr_lm_word.yaml").write_text(CONFIG)
    given = {
        "exp": trained, "config": tmp_path / "decode_asr_lm_word.yaml", "data_dir": dump / "dev",
        "lm_dir": lm_dir, "out": tmp_path / "tuned.yaml", "alphas": "0 1", "betas": "0",
        "penalties": "0",
    }  # fmt: skip
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def test_the_best_weights_become_a_configuration_with_trials_and_picture(
    words, trained, dump, lm_dir, tmp_path, capsys
):
    assert tune_lm.main(words) == 0
    tuned = tmp_path / "tuned.yaml"
    kept = json.loads(tuned.with_suffix(".json").read_text())
    assert [(t["lm_weight"], t["word_score"]) for t in kept["trials"]] == [
        (0.0, 0.0), (0.5, 0.0), (1.0, 0.0),
    ]  # fmt: skip
    config = read_decode_config(tuned)
    assert (config["lm_weight"], config["beam_size"]) == (kept["best"]["lm_weight"], 10)
    first = tuned.read_text().splitlines()[0]
    assert first.startswith("# Tuned on dev with asr_toy and lm; ")
    if claim := re.search(r"differs from (\S+) in ([\w, ]+)\.", first):
        theirs, ours = yaml.safe_load(CONFIG), yaml.safe_load(tuned.read_text())
        names = {key for key in ours | theirs if ours.get(key) != theirs.get(key)}
        assert claim.groups() == ("decode_asr_lm_word.yaml", ", ".join(sorted(names)))
    assert tuned.with_suffix(".png").stat().st_size > 1000
    out = capsys.readouterr().out
    assert "<- best" in out
    assert [line.split()[0] for line in out.splitlines() if "are fewer than 1,000" in line] == (
        sorted(kept["counts"])
    )


def test_an_error_rate_is_that_of_decoding_with_the_weights(words, trained, dump, lm_dir, tmp_path):
    from asr_dro_plugin.audio.read_ahead import Location, load
    from asr_dro_plugin.decoding.build import build_decoder
    from asr_dro_plugin.decoding.greedy import tokens_to_text
    from asr_dro_plugin.espnet.decode.inference import load_recogniser
    from asr_dro_plugin.experiment.model_files import best_model_file
    from asr_dro_plugin.scoring.error_rates import score

    tune_lm.main(words)
    trial = json.loads((tmp_path / "tuned.json").read_text())["trials"][-1]
    recogniser = load_recogniser(trained, best_model_file(trained))
    tokens, kind, dev = recogniser.tokens, recogniser.token_type, dump / "dev"
    config = {**yaml.safe_load(CONFIG), "lm_weight": 1.0}
    decoder = build_decoder(read_decode_config(config), tokens, kind, 0, lm_dir)
    found = {}
    for utt_id, path in read_table(dev / "wav.scp").items():
        samples = load(Location(utt_id, path)).samples
        ids = decoder(recogniser.emission([samples]))[0][0].ids
        found[utt_id] = tokens_to_text(ids, tokens, kind)
    wanted = score(read_table(dev / "text"), found, read_table(dev / "utt2category"))
    # Half precision may turn a coin in a model of one epoch.
    assert trial["macro_cer"] == pytest.approx(wanted.macro("cer"), abs=0.03)


def test_a_second_run_tries_nothing_again_and_loads_no_model(words, tmp_path, monkeypatch):
    tune_lm.main(words)
    before = (tmp_path / "tuned.json").read_bytes()
    monkeypatch.setattr(tune_lm, "fill", lambda *_: pytest.fail("a model was loaded"))
    tune_lm.main(words)
    assert (tmp_path / "tuned.json").read_bytes() == before


def test_audio_that_cannot_be_read_is_counted_and_the_rest_is_done(words, dump, tmp_path):
    dev = tmp_path / "dev"
    shutil.copytree(dump / "dev", dev)
    table = read_table(dev / "wav.scp")
    lost = next(iter(table))
    lines = (f"{k} {'/nowhere.wav' if k == lost else v}\n" for k, v in table.items())
    (dev / "wav.scp").write_text("".join(lines))
    words[words.index("--data_dir") + 1] = str(dev)
    with pytest.raises(SomeLeftOut, match=f"1 utterances of .*first: {lost}"):
        tune_lm.main([*words, "--alphas", "0.5"])
    assert (tmp_path / "tuned.yaml").exists()
    words[words.index("--out") + 1] = str(tmp_path / "strict.yaml")
    with pytest.raises(UserError, match="--strict true") as error:
        tune_lm.main([*words, "--strict", "true"])
    assert error.value.exit_code == 1


def test_what_cannot_be_tuned_is_refused_at_once(words, tmp_path):
    greedy = tmp_path / "greedy.yaml"
    greedy.write_text("mode: greedy\n")
    for option, value, message in [
        ("--config", str(greedy), "mode greedy, which has no alpha"),
        ("--alphas", "0 -1", "A weight is 0 or more"),
        ("--trials", "0", "Give 1 or more"),
        ("--penalties", "0 200", "--penalties go from -100 to 100"),
        ("--min_chars", "-1", "Give 0 or more"),
        ("--lm_dir", "nowhere", "--lm_dir nowhere does not exist"),
    ]:
        with pytest.raises(UserError, match=message):
            tune_lm.main([*words, option, value])


def test_weights_that_change_nothing_are_said(tmp_path):
    """A character model taken for one of words did so in another toolkit, for hours."""
    trials = Trials(tmp_path / "t.json", {})
    for alpha in (0.0, 1.0):
        trials.add(Trial(alpha, 0.0, 0.0, 0.3, 0.5, 0.4, {}, 0.1), {})
    args = argparse.Namespace(out=tmp_path / "t.yaml", by_language=True)
    said = list(tune_lm.lines(trials, args))
    assert any("the language model changes nothing" in line for line in said)
    assert not any("better one may lie beyond" in line for line in said)
    assert said[-1].startswith("No weights by language: the model has no language tags")


def test_a_list_of_numbers_is_one():
    assert tune_lm._numbers("0, 0.5 1") == (0.0, 0.5, 1.0)
    for wrong in ("", "a", "1 nan"):
        with pytest.raises(argparse.ArgumentTypeError):
            tune_lm._numbers(wrong)
