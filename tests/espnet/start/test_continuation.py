"""A trained model goes on with more languages: old tokens and groups keep what they learnt."""

import shutil

import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.model import DROASRModel
from asr_dro_plugin.espnet.start.continuation import (
    Origin,
    check_extension,
    other_settings,
    read_source,
    take_over_objective,
    token_rows,
    transplant,
)
from tests import toy
from tests.espnet import tiny
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
    assert counts == {"copied": 2, "by_token": 2, "left": 0, "unused": 0}
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


def test_the_settings_that_made_it_another_stack_are_named(task, dump, trained, tmp_path):
    conf = {"hidden_size": 24, "num_blocks": 1, "kernel_size": 3, "strides": [2, 2]}
    config = write_config(tmp_path / "train.yaml", model="dro", encoder_conf=conf)
    words = [*arguments(dump, tmp_path / "exp", config), "--dry_run", "true"]
    with pytest.raises(UserError, match=r"encoder_conf.hidden_size 16 -> 24\). Continue with"):
        task.main(cmd=[*words, "--init_exp", str(trained)])


def test_what_is_unused_or_starts_anew_is_told_with_the_settings(
    task, dump, trained, tmp_path, caplog
):
    conf = {"hidden_size": 16, "num_blocks": 2, "kernel_size": 3, "strides": [2, 2]}
    config = write_config(tmp_path / "train.yaml", model="dro", encoder_conf=conf)
    words = [*arguments(dump, tmp_path / "exp", config), "--dry_run", "true"]
    task.main(cmd=[*words, "--init_exp", str(trained)])
    (told,) = (m for m in caplog.messages if "has another stack" in m)
    assert "encoder_conf.num_blocks 1 -> 2" in told and "0 of its tensors are not used" in told


def test_other_features_are_told_loudly(task, dump, trained, tmp_path, caplog):
    conf = {"fs": "16k", "n_fft": 512, "hop_length": 160, "n_mels": 20, "fmin": 40}
    config = write_config(tmp_path / "train.yaml", model="dro", frontend_conf=conf)
    words = [*arguments(dump, tmp_path / "exp", config), "--dry_run", "true"]
    task.main(cmd=[*words, "--init_exp", str(trained)])
    (told,) = (m for m in caplog.messages if "trained on other features" in m)
    assert "frontend_conf.fmin none -> 40" in told


def test_a_setting_that_is_written_out_at_its_default_is_no_difference():
    long = {"encoder": "conv_ctc", "encoder_conf": {"hidden_size": 256, "strides": [2, 2]}}
    assert other_settings(long, {"encoder": "conv_ctc"}) == []
    other = {"encoder": "conv_ctc", "encoder_conf": {"strides": [2, 4]}}
    assert other_settings(long, other) == ["encoder_conf.strides [2, 2] -> [2, 4]"]
    assert other_settings(long, {"encoder": "rnn"}) == ["encoder conv_ctc -> rnn"]


def test_any_one_model_file_is_found_whatever_its_name(trained, tmp_path):
    shutil.copy(trained / "config.yaml", tmp_path)
    shutil.copy(trained / "1epoch.pth", tmp_path / "given_away.pth")
    source = read_source(str(tmp_path))
    assert source.model_file == tmp_path / "given_away.pth"
    assert source.groups == ["deu", "eng"]


def test_a_folder_without_a_configuration_or_a_model_is_refused(trained, tmp_path):
    with pytest.raises(UserError, match=r"config.yaml is missing.*asr-dro import"):
        read_source(str(tmp_path))
    shutil.copy(trained / "config.yaml", tmp_path)
    with pytest.raises(UserError, match="has no model"):
        read_source(str(tmp_path))


def test_the_tokens_rows_follow_though_the_blank_was_last(trained):
    old = [*toy.tokens(("deu", "eng"))[2:-1], "<blank>"]  # as another system's model has them
    new = toy.tokens(("deu", "eng"))
    check_extension(Origin(trained / "x.pth", old, None), new, None, allow=False)
    source = dict(zip(*(rows.tolist() for rows in token_rows(old, new)), strict=True))
    assert source[len(old) - 1] == 0 and old[-1] == new[0] == "<blank>"
    assert all(old[row] == new[place] for row, place in source.items())
    assert len(source) == len(old)


def test_a_stack_with_nothing_in_common_is_refused():
    with pytest.raises(UserError, match="shares no parameter"):
        transplant(torch.nn.Linear(2, 2), {"other": torch.ones(1)}, ["a"], ["a"])


def with_weights(groups, weights):
    """A model whose groups weigh so much relative to the mean."""
    model = DROASRModel(**tiny.parts(), groups=groups, objective="ctc_dro")
    model.objective.relative_weights.copy_(torch.tensor(weights))
    return model


def test_old_groups_keep_their_ratios_and_new_ones_start_at_the_mean():
    old = with_weights(["deu", "fra"], [0.5, 1.5])
    old(**tiny.batch(group_ids=(0, 0, 0)))
    new = with_weights(["deu", "eng", "fra"], [1.0, 1.0, 1.0])
    transplant(new, old.state_dict(), tiny.TOKENS, tiny.TOKENS)
    words = take_over_objective(new, old.state_dict(), ["deu", "fra"])
    deu, eng, fra = new.objective.group_weights.tolist()
    assert fra / deu == pytest.approx(3)
    assert eng == pytest.approx(1 / 3)
    assert "Group weights of 2 groups taken over" in words and "eng" in words
    assert (int(old.objective.num_batches), int(new.objective.num_batches)) == (1, 0)


def test_where_a_group_is_gone_all_start_alike():
    old, new = with_weights(["deu", "fra"], [0.5, 1.5]), with_weights(["deu", "eng"], [1.0, 1.0])
    words = take_over_objective(new, old.state_dict(), ["deu", "fra"])
    assert words.startswith("Groups are gone (fra)")
    assert new.objective.group_weights.tolist() == [0.5, 0.5]


def test_a_model_without_an_objective_has_no_weights_to_take_over():
    old = with_weights(["deu", "fra"], [0.5, 1.5])
    new = DROASRModel(**tiny.parts(), groups=["deu", "fra"])
    assert (
        take_over_objective(new, old.state_dict(), ["deu", "fra"]) == "No group weights are used."
    )
    older = {k: v for k, v in old.state_dict().items() if not k.startswith("objective.")}
    new = with_weights(["deu", "fra"], [1.0, 1.0])
    assert "2 groups start alike" in take_over_objective(new, older, ["deu", "fra"])
