"""Where ``<blank>`` stands in the token list changes nothing but the order of the columns."""

import copy

import numpy as np
import pytest
import torch

from asr_dro_plugin.decoding.greedy import greedy, tokens_to_text
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.losses import use_blank
from asr_dro_plugin.espnet.model.model import DROASRModel
from tests.espnet import tiny

PLACES = {"last": tiny.TOKENS[1:] + tiny.TOKENS[:1], "middle": tiny.TOKENS[3:] + tiny.TOKENS[:3]}


def with_tokens(made, tokens):
    """The same model whose columns of CTC's layer stand in the order of ``tokens``."""
    made = {**copy.deepcopy(made), "token_list": list(tokens)}
    rows = torch.tensor([tiny.TOKENS.index(token) for token in tokens])
    layer = made["ctc"].ctc_lo
    with torch.no_grad():
        layer.weight.copy_(layer.weight[rows])
        layer.bias.copy_(layer.bias[rows])
    return made, rows


def batch_for(tokens):
    """The batch of ``tiny`` with the labels as numbers in ``tokens``."""
    batch = tiny.batch()
    ids = torch.tensor([tokens.index(token) for token in tiny.TOKENS])
    text = batch["text"]
    batch["text"] = torch.where(text < 0, text, ids[text.clamp(min=0)])
    return batch


@pytest.fixture(params=["ctc", "ctc_dro", None], ids=["ctc", "ctc_dro", "espnets_own"])
def options(request):
    return {"groups": tiny.NAMES, "objective": request.param} if request.param else {}


@pytest.mark.parametrize("place", PLACES)
def test_loss_and_gradients_are_those_with_the_blank_first(place, options):
    torch.manual_seed(0)
    made = tiny.parts()
    moved, rows = with_tokens(made, PLACES[place])
    first, other = DROASRModel(**made, **options), DROASRModel(**moved, **options)
    found = []
    for model, tokens in ((first, tiny.TOKENS), (other, PLACES[place])):
        torch.manual_seed(1)
        loss, stats, _ = model(**batch_for(tokens))
        loss.backward()
        found.append((loss, stats))
    torch.testing.assert_close(found[0][0], found[1][0])
    mine = other.ctc.ctc_lo.weight.grad
    torch.testing.assert_close(mine, first.ctc.ctc_lo.weight.grad[rows])
    for theirs, ours in zip(first.encoder.parameters(), other.encoder.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
def test_validation_and_greedy_text_are_those_with_the_blank_first(place):
    torch.manual_seed(0)
    made = tiny.parts()
    with torch.no_grad():
        made["ctc"].ctc_lo.weight.mul_(10)  # so that the text is not all one symbol
    moved, _ = with_tokens(made, PLACES[place])
    options = {"groups": tiny.NAMES, "objective": "ctc"}
    texts, figures = [], []
    for arguments, tokens in ((made, tiny.TOKENS), (moved, PLACES[place])):
        model = DROASRModel(**arguments, **options).eval()
        batch = batch_for(tokens)
        _, stats, _ = model(**batch)
        figures.append([float(stats["cer_ctc"]), *np.nan_to_num(model.validation.cer_G)])
        out, lengths = model.encode(batch["speech"], batch["speech_lengths"])
        log_probs = model.ctc.log_softmax(out).detach()
        emission = Emission(log_probs, lengths, 0.04, model.blank_id, tokens)
        texts.append([tokens_to_text(ids, tokens, "char") for ids in greedy(emission)])
    assert figures[0] == pytest.approx(figures[1])
    assert texts[0] == texts[1] and any(texts[0])


def test_a_ctc_that_knows_the_first_symbol_only_is_refused():
    ctc = tiny.parts()["ctc"]
    ctc.ctc_type, ctc.ctc_loss = "gtnctc", torch.nn.Identity()
    use_blank(ctc, 0)
    with pytest.raises(UserError, match="gtnctc takes the first token .* as number 9"):
        use_blank(ctc, 9)


def test_a_model_without_ctc_has_no_blank_to_place():
    use_blank(None, 3)
