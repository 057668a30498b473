"""A trained model goes on with more languages: old tokens and groups keep what they learnt."""

import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.continuation import token_rows, transplant
from tests import toy
from tests.espnet.conftest import arguments, make_dump, write_config


@pytest.fixture(scope="module")
def three_languages(tmp_path_factory):
    return make_dump(tmp_path_factory.mktemp("three"), langs=("deu", "eng", "fra"))


def continued(task, root, trained, out, tmp_path, **options):
    config = write_config(tmp_path / "train.yaml", model="dro")
    words = [*arguments(root, out, config), "--init_exp", str(trained), "--dry_run", "true"]
    for key, value in options.items():
        words += [f"--{key}", value]
    task.main(cmd=words)


def test_new_languages_are_refused_unless_asked_for(task, three_languages, trained, tmp_path):
    with pytest.raises(UserError, match=r"1 new tokens \(\[fra\]\); groups: new: fra"):
        continued(task, three_languages, trained, tmp_path / "exp", tmp_path)


def test_old_tokens_keep_their_rows_when_a_language_is_added(
    task, three_languages, trained, tmp_path, caplog
):
    with caplog.at_level("INFO"):
        continued(task, three_languages, trained, tmp_path / "exp", tmp_path, extend_groups="true")
    assert "Groups kept: deu eng. New groups: fra" in caplog.text
    args = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert args["model_conf"]["groups"] == ["deu", "eng", "fra"]


def test_rows_follow_the_token_and_not_its_number():
    old, new = toy.tokens(("deu", "eng")), toy.tokens(("deu", "ell", "eng"))
    source, target = torch.nn.Linear(3, len(old)), torch.nn.Linear(3, len(new))
    holder = torch.nn.ModuleDict({"ctc": torch.nn.ModuleDict({"ctc_lo": target})})
    holder["body"] = torch.nn.Linear(3, 3)
    state = {f"ctc.ctc_lo.{k}": v for k, v in source.state_dict().items()}
    state["body.weight"], state["body.bias"] = torch.ones(3, 3), torch.ones(3)
    fresh = target.weight[new.index("[ell]")].clone()
    counts = transplant(holder, state, old, new)
    assert counts == {"copied": 2, "by_token": 2, "left": 0}
    for token in old:
        assert torch.equal(target.weight[new.index(token)], source.weight[old.index(token)])
        assert torch.equal(target.bias[new.index(token)], source.bias[old.index(token)])
    assert torch.equal(target.weight[new.index("[ell]")], fresh)


def test_token_rows_pairs_the_common_tokens():
    old, new = token_rows(["a", "b", "c"], ["c", "x", "a"])
    assert list(zip(old.tolist(), new.tolist(), strict=True)) == [(2, 0), (0, 2)]


def test_another_stack_is_refused_with_the_tensor_named():
    model = torch.nn.ModuleDict({"body": torch.nn.Linear(3, 3)})
    with pytest.raises(UserError, match=r"body.weight is \(4, 4\) in the old model"):
        transplant(model, {"body.weight": torch.ones(4, 4)}, ["a"], ["a"])


def test_a_stack_with_nothing_in_common_is_refused():
    with pytest.raises(UserError, match="shares no parameter"):
        transplant(torch.nn.Linear(2, 2), {"other": torch.ones(1)}, ["a"], ["a"])
