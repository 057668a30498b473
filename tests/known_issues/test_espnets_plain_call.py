"""``Speech2Text.from_pretrained("model.zip")`` alone gave garbage for models without a decoder.

ESPnet's default weight of CTC, 0.5, makes its search look at 30 tokens first, chosen by the scores
of a decoder; without one they were the same 30 for every piece of speech.
"""

import numpy as np
import pytest
import soundfile
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.pack import PackOptions, pack
from tests.docs.pages import blocks
from tests.espnet.conftest import arguments, write_config

MODEL = "valid.cer_ctc.ave.pth"
SPARE = [chr(code) for code in range(0x3B1, 0x3C9) if chr(code).isalpha()]  # Greek, never spoken


def sure(task, dump, root, tokens, **changes):
    """An experiment whose random network is sure of itself: one token a frame, or the blank."""
    (root / "tokens.txt").write_text("".join(f"{token}\n" for token in tokens))
    config = write_config(root / "train.yaml", **{"model": "dro", **changes})
    words = arguments(dump, root / "exp", config)
    words[words.index("--token_list") + 1] = str(root / "tokens.txt")
    task.main(cmd=[*words, "--dry_run", "true"])
    torch.manual_seed(1)
    model, _ = task.build_model_from_file(root / "exp" / "config.yaml")
    with torch.no_grad():
        model.ctc.ctc_lo.weight.normal_().mul_(50)
        model.ctc.ctc_lo.bias[tokens.index("<blank>")] += 50
        model.ctc.ctc_lo.bias[[n for n, token in enumerate(tokens) if "eos" in token]] -= 1e4
    torch.save(model.state_dict(), root / "exp" / MODEL)
    return root / "exp"


def toy_tokens():
    return ["<blank>", "<unk>", *SPARE, "<space>", *"abcdefgh", "<sos/eos>"]


@pytest.fixture(scope="module")
def speech(dump) -> list[np.ndarray]:
    paths = list(read_table(dump / "test" / "wav.scp").values())[:3]
    return [soundfile.read(path, dtype="float32")[0] for path in paths]


def ours(exp, speech) -> list[str]:
    from asr_dro_plugin.decoding.build import decoder_for
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    recogniser = load_recogniser(exp, MODEL)
    config = yaml.safe_load((exp / "config.yaml").read_text())
    decoder = decoder_for(config, read_decode_config({}))
    ids = [decoder(recogniser.emission([each]))[0][0].ids for each in speech]
    return ["".join(recogniser.tokens[i] for i in row).replace("<space>", " ") for row in ids]


def theirs(archive, speech, monkeypatch, **options) -> list[str]:
    """In the archive's folder: what the documents say or, with options, the call that has them."""
    from espnet2.bin.asr_inference import Speech2Text

    import asr_dro_plugin.espnet  # noqa: F401

    monkeypatch.chdir(archive.parent)
    monkeypatch.setenv("HOME", str(archive.parent / "home"))
    names = {}
    if options:
        speech2text = Speech2Text.from_pretrained("model.zip", **options)
    else:
        ((_, block),) = blocks("python model")
        exec(compile(block, "docs", "exec"), names)
        speech2text = names["speech2text"]
    return [speech2text(each)[0][0] for each in speech]


@pytest.mark.parametrize("model", ["dro", "espnet"])
def test_the_plain_call_of_the_documents_writes_our_text(
    task, dump, speech, tmp_path, monkeypatch, model
):
    exp = sure(task, dump, tmp_path, toy_tokens(), model=model)
    pack(exp, tmp_path / "model.zip", PackOptions())
    expected = ours(exp, speech)
    assert all(expected) and len(set(expected)) == len(expected)
    assert theirs(tmp_path / "model.zip", speech, monkeypatch) == expected


@pytest.mark.parametrize("options", [{"ctc_weight": 0.0}, {"ctc_weight": 1.0}, {"beam_size": 2}])
def test_no_weight_of_ctc_changes_a_model_that_has_nothing_else(
    task, dump, speech, tmp_path, monkeypatch, options
):
    exp = sure(task, dump, tmp_path, toy_tokens())
    pack(exp, tmp_path / "model.zip", PackOptions())
    assert theirs(tmp_path / "model.zip", speech, monkeypatch, **options) == ours(exp, speech)


def test_one_hypothesis_and_a_batch_of_them_score_alike(task):
    from espnet2.asr.ctc import CTC

    from asr_dro_plugin.espnet.model.ctc_scorer import CTCAsDecoder

    torch.manual_seed(0)
    ctc, speech = CTC(7, 4).eval(), 3 * torch.randn(9, 4)
    single, scorer = CTCAsDecoder(ctc, eos=6), CTCAsDecoder(ctc, eos=6)
    alone, batch = single.init_state(speech), [scorer.batch_init_state(speech)] * 2
    prefix = torch.tensor([6])
    for token in (2, 2, 5, 1):
        scores, alone = single.score(prefix, alone, speech)
        both, batch = scorer.batch_score(prefix.expand(2, -1), batch, speech.expand(2, -1, -1))
        possible = scores > -1e6
        assert possible.sum() > 4
        torch.testing.assert_close(both[1][possible], scores[possible], rtol=1e-4, atol=1e-4)
        batch = [scorer.select_state(batch, 1), scorer.select_state(batch, 0)]
        prefix = torch.cat([prefix, torch.tensor([token])])


@pytest.mark.parametrize(
    ("tokens", "fact"),
    [
        ([*toy_tokens()[1:-1], "<blank>", "<sos/eos>"], "<blank> as token number 34"),
        (toy_tokens()[:-1], "no <sos/eos>"),
    ],
)
@pytest.mark.parametrize("ctc_weight", [0.5, 1.0])
def test_tokens_that_espnets_search_would_misread_are_refused(
    task, dump, speech, tmp_path, monkeypatch, tokens, fact, ctc_weight
):
    exp = sure(task, dump, tmp_path, tokens)
    pack(exp, tmp_path / "model.zip", PackOptions())
    with pytest.raises(UserError, match=fact):
        theirs(tmp_path / "model.zip", speech[:1], monkeypatch, ctc_weight=ctc_weight)
