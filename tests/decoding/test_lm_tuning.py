import numpy as np
import pytest
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.decoding import lm_tuning
from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.command_line import Model, Request
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.decoding.lm_tuning import EmissionStore, Plan
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.lm.grid import Grid, Trials
from asr_dro_plugin.scoring.error_rates import score
from tests.decoding.test_lm_decoder import SEE, TAGGED, frames, write_lm

TOKENS = ["a", "b", "<blank>"]


def emission(lengths, seed):
    log_probs = np.random.default_rng(seed).normal(-3, 2, (len(lengths), max(lengths), 3))
    return Emission(log_probs.astype(np.float32), np.array(lengths), 0.02, 2, TOKENS)


def test_what_is_stored_comes_back_in_half_precision_and_in_batches(tmp_path):
    store, added = EmissionStore(tmp_path), {}
    for number, lengths in enumerate([(5, 3), (40, 1, 0)]):
        one = emission(lengths, number)
        names = [f"u{number}{row}" for row in range(len(lengths))]
        store.add(names, one)
        added |= {name: one.log_probs[row, :n] for row, (name, n) in enumerate(zip(names, lengths))}
    batches = list(store.batches(0.2))  # 10 padded frames
    assert [utt_ids for utt_ids, _ in batches] == [["u10"], ["u00", "u01"], ["u11", "u12"]]
    for utt_ids, found in batches:
        assert (found.blank_id, found.frame_shift, found.tokens) == (2, 0.02, tuple(TOKENS))
        for row, utt_id in enumerate(utt_ids):
            ours = found.log_probs[row, : found.lengths[row]]
            assert ours == pytest.approx(added[utt_id], rel=1e-3)
    assert len(store) == 5 and store.path.stat().st_size == 2 * 3 * store.num_frames == 2 * 3 * 49


def test_an_empty_store_has_no_batch(tmp_path):
    assert list(EmissionStore(tmp_path).batches(10.0)) == []


UTTS = 30


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two languages that want other weights of one language model, which prefers "the sea".

    In English it is right, and the frames are for "the see"; in German the frames are right.  A
    letter of German is hidden by the blank.  Nothing of a third can be told: it has 2 utterances.
    """
    root = tmp_path_factory.mktemp("pair")
    lm_dir, data = write_lm(root / "lm"), root / "dev"
    data.mkdir()
    said = {"eng": "the sea", "deu": "the see", "fra": "the sea"}
    utts = {f"{lang}{n:02}": lang for lang in said for n in range(2 if lang == "fra" else UTTS)}
    (data / "text").write_text("".join(f"{utt} [{lg}] {said[lg]}\n" for utt, lg in utts.items()))
    (data / "utt2lang").write_text("".join(f"{utt} {lang}\n" for utt, lang in utts.items()))
    tokens = [*TAGGED[:4], "[fra]", *TAGGED[4:]]
    hidden = {"eng": "t", "deu": "t:0.2 <blank>:0.7", "fra": "t"}
    heard = {
        utt: frames(tokens, f"[{lang}]", "<space>", hidden[lang], *SEE[1:])[0]
        for utt, lang in utts.items()
    }

    def fill(store):
        log_probs = np.stack(list(heard.values()))
        lengths = np.full(len(heard), log_probs.shape[1])
        store.add(list(heard), Emission(log_probs, lengths, 0.02, 0, tokens))
        return {}

    given = {"mode": "lm", "blank_threshold": 1.0, "lexicon": False, "unk_score": -1.0}
    config = read_decode_config(given)
    decoder = build_decoder(config, tokens, "char", 0, lm_dir)
    request = Request(Model("exp", "m.pth", "cpu", {}), config, decoder, str(lm_dir), False)
    (root / "decode_asr_lm.yaml").write_text(yaml.safe_dump(given))
    return root, request, fill, heard, tokens


def tuned(pair, folder, **changes):
    root, request, fill, _, _ = pair
    grid = Grid((0.0, 0.5, 1.0), (0.0,), (0.0, 2.0))
    plan = Plan(
        root / "dev", "lower_no_punct", grid, **{"min_chars": 100, "min_utts": 20, **changes}
    )
    trials = Trials(folder / "tuned.json", {"of": "pair"})
    lm_tuning.tune(request, trials, plan, EmissionStore(folder), fill)
    trials.write()
    config = str(root / "decode_asr_lm.yaml")
    lm_tuning.write_tuned(request, trials, config, root / "dev", folder / "tuned.yaml")
    return trials, load_config(folder / "tuned.yaml")


def test_two_languages_get_the_weights_that_are_right_for_each(pair, tmp_path):
    trials, config = tuned(pair, tmp_path)
    eng, deu, fra = (trials.choices[lang] for lang in ("eng", "deu", "fra"))
    assert deu.point[0] == 0 and deu.point[2] > 0 and (deu.reason, deu.own) == ("", 0)
    assert eng.own == 0 and (eng.point[0] > 0 or eng.reason == "they are the best")
    assert fra.point == trials.best.point and "characters are fewer than 100" in fra.reason
    assert trials.together.macro_cer < trials.best.macro_cer
    own = {c.lang for c in trials.choices.values() if not c.reason}
    assert config["by_language"].keys() == own and "deu" in own
    joint = load_config(tmp_path / "tuned_joint.yaml")
    assert joint == {key: value for key, value in config.items() if key != "by_language"}


def test_decoding_with_what_was_tuned_gives_what_was_promised(pair, tmp_path):
    root, request, _, heard, tokens = pair
    trials, config = tuned(pair, tmp_path)
    decoder = build_decoder(read_decode_config(config), tokens, "char", 0, request.lm_dir)
    log_probs = np.stack(list(heard.values())).astype(np.float16).astype(np.float32)
    emission = Emission(log_probs, np.full(len(heard), log_probs.shape[1]), 0.02, 0, tokens)
    texts = {
        utt: tokens_to_text(paths[0].ids, tokens, "char")
        for utt, paths in zip(heard, decoder(emission), strict=True)
    }
    found = score(read_table(root / "dev/text"), texts, read_table(root / "dev/utt2lang"))
    assert found.macro("cer") == pytest.approx(trials.together.macro_cer)
    assert {lang: found.rate(lang, "cer") for lang in found.groups} == trials.together.cer


@pytest.mark.parametrize("floor", [{"min_chars": 10_000}, {"min_utts": 31}])
def test_below_the_floor_every_language_keeps_the_joint_weights(pair, tmp_path, floor):
    trials, config = tuned(pair, tmp_path, **floor)
    assert "by_language" not in config and trials.together == trials.best
    assert not (tmp_path / "tuned_joint.yaml").exists()
    assert all("are fewer than" in choice.reason for choice in trials.choices.values())


def test_weights_by_language_can_be_left_out(pair, tmp_path):
    trials, config = tuned(pair, tmp_path, by_language=False)
    assert "by_language" not in config and trials.together is None and not trials.choices
    again, config = tuned(pair, tmp_path)  # the trials so far are used
    assert again.done.items() >= trials.done.items() and "by_language" in config


def test_a_second_tuning_gives_the_same_bytes_and_decodes_nothing(pair, tmp_path):
    tuned(pair, tmp_path)
    before = [(tmp_path / name).read_bytes() for name in ("tuned.json", "tuned.yaml")]
    root, request, _, *rest = pair
    tuned((root, request, lambda store: pytest.fail("decoded again"), *rest), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("tuned.json", "tuned.yaml")] == before
