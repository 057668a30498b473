"""Our task is ESPnet's, and what it adds."""

import argparse
import json
import shutil

import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from tests.espnet.conftest import arguments, make_dump, write_config

pytest_plugins = ["tests.fixtures_ssl"]


def parameters(exp):
    return torch.load(exp / "latest.pth", weights_only=True)


def test_a_plain_espnet_yaml_trains_to_bit_equal_parameters_through_our_task(task, dump, tmp_path):
    from espnet2.tasks.asr import ASRTask

    encoder = {"output_size": 16, "attention_heads": 2, "linear_units": 32, "num_blocks": 1}
    config = write_config(
        tmp_path / "plain.yaml", encoder="transformer", encoder_conf=encoder,
        specaug="specaug", specaug_conf={"apply_time_mask": False}, num_iters_per_epoch=20,
    )  # fmt: skip
    for name, cls in (("espnet", ASRTask), ("ours", task)):
        cls.main(cmd=arguments(dump, tmp_path / name, config, groups=False))
    theirs, ours = parameters(tmp_path / "espnet"), parameters(tmp_path / "ours")
    assert list(theirs) == list(ours)
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    start = task.build_model_from_file(tmp_path / "ours" / "config.yaml")[0].state_dict()
    assert any(not torch.equal(start[name], ours[name]) for name in ours)  # it did train


def test_group_ids_reach_the_model_in_the_batch(task, dump, tmp_path, monkeypatch):
    from asr_dro_plugin.espnet.model.model import DROASRModel

    seen = {}
    utterance_losses = DROASRModel.utterance_losses

    def watch(self, *args, group_ids=None, utt_id=None, **kwargs):
        seen.update(zip(utt_id, group_ids.reshape(-1).tolist(), strict=True))
        return utterance_losses(self, *args, group_ids=group_ids, utt_id=utt_id, **kwargs)

    monkeypatch.setattr(DROASRModel, "utterance_losses", watch)
    config = write_config(tmp_path / "train.yaml", model="dro")
    task.main(cmd=arguments(dump, tmp_path / "exp", config))
    assert len(seen) == 32
    assert all(group == (0 if utt_id.startswith("deu") else 1) for utt_id, group in seen.items())


def test_a_group_id_outside_the_map_is_refused(task, trained):
    model, _ = task.build_model_from_file(trained / "config.yaml")
    with pytest.raises(UserError, match=r"Group id 2 is outside 0\.\.1 \(deu eng\)"):
        model.checked_group_ids(torch.tensor([[0], [2]]), 2)
    with pytest.raises(UserError, match="2 utterances came with 1 group ids"):
        model.checked_group_ids(torch.tensor([0]), 2)


def test_the_experiment_keeps_its_group_names_in_sorted_order(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["model_conf"]["groups"] == ["deu", "eng"]


def test_resuming_with_other_groups_is_refused_and_the_difference_named(task, trained, tmp_path):
    root = make_dump(tmp_path / "dump", langs=("eng", "pol"))
    config = write_config(tmp_path / "train.yaml", model="dro")
    words = [*arguments(root, trained, config), "--resume", "true"]
    with pytest.raises(UserError, match="new: pol; gone: deu"):
        task.main(cmd=words)


def test_frontend_none_becomes_input_size_1_in_the_config(task, dump, tmp_path, tiny_ssl):
    config = write_config(
        tmp_path / "raw.yaml", frontend="none", frontend_conf={}, normalize="none",
        encoder="wav2vec2", encoder_conf={}, ssl_checkpoint=str(tiny_ssl.fairseq),
    )  # fmt: skip
    words = [*arguments(dump, tmp_path / "exp", config), "--dry_run", "true"]
    task.main(cmd=words)
    saved = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert saved["input_size"] == 1
    assert saved["frontend"] is None


def test_the_identity_encoder_makes_the_frontend_the_whole_model(task, dump, tmp_path):
    config = write_config(tmp_path / "identity.yaml", encoder="identity", encoder_conf={})
    task.main(cmd=arguments(dump, tmp_path / "exp", config))
    names = [name for name in parameters(tmp_path / "exp") if not name.startswith("frontend")]
    assert names == ["ctc.ctc_lo.weight", "ctc.ctc_lo.bias"]


def test_an_inferred_preencoder_size_is_written_into_the_config(task, dump, tmp_path):
    config = write_config(
        tmp_path / "linear.yaml", preencoder="linear", preencoder_conf={"output_size": 12}
    )
    task.main(cmd=[*arguments(dump, tmp_path / "exp", config), "--dry_run", "true"])
    saved = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert saved["preencoder_conf"] == {"input_size": 20, "output_size": 12}


def test_registering_twice_is_the_same_as_once(task):
    from espnet2.tasks.asr import encoder_choices

    from asr_dro_plugin.espnet.choices import PREPARED, register
    from asr_dro_plugin.stack.components import OURS

    before = dict(encoder_choices.classes)
    register()
    assert encoder_choices.classes == before
    assert set(OURS["encoder"]) <= set(before)
    assert PREPARED["encoder"].items() <= before.items()


def dry_run(task, dump, out, tmp_path, *words, groups=True, **changes):
    """What the configuration of a run says that is built and not trained."""
    config = write_config(tmp_path / "train.yaml", **{"model": "dro", **changes})
    given = arguments(dump, out, config, groups=groups)
    task.main(cmd=[*given, "--dry_run", "true", *words])
    return yaml.safe_load((out / "config.yaml").read_text())


def test_the_objective_is_ctc_dro_unless_another_is_chosen(task, dump, tmp_path):
    saved = dry_run(task, dump, tmp_path / "exp", tmp_path)
    assert saved["model_conf"]["objective"] == saved["objective"] == "ctc_dro"
    model, _ = task.build_model_from_file(tmp_path / "exp" / "config.yaml")
    assert model.objective.group_names == ["deu", "eng"]


def test_espnets_own_loader_builds_the_objective_too(task, dump, tmp_path):
    from espnet2.tasks.asr import ASRTask

    changes = {"objective": "group_dro", "objective_conf": {"cap": 2.0}}
    dry_run(task, dump, tmp_path / "exp", tmp_path, **changes)
    model, _ = ASRTask.build_model_from_file(tmp_path / "exp" / "config.yaml")
    assert type(model.objective).__name__ == "GroupDRO"
    assert model.objective.cap == 2.0


def test_an_experiment_from_before_objectives_loads_without_one(task, dump, tmp_path):
    saved = dry_run(task, dump, tmp_path / "exp", tmp_path)
    older = {key: value for key, value in saved.items() if "objective" not in key}
    for key in ("objective", "objective_conf"):
        del older["model_conf"][key]
    (tmp_path / "older.yaml").write_text(yaml.safe_dump(older))
    assert task.build_model_from_file(tmp_path / "older.yaml")[0].objective is None


def test_objective_none_is_espnets_own_loss(task, dump, tmp_path):
    saved = dry_run(task, dump, tmp_path / "exp", tmp_path, objective="none")
    assert "objective" not in saved["model_conf"]
    assert saved["model_conf"]["groups"] == ["deu", "eng"]


def test_the_objectives_duration_is_the_samplers(task, dump, tmp_path):
    plan = {"iterator_type": "task", "sampler_conf": {"duration": 7.0}}
    saved = dry_run(task, dump, tmp_path / "exp", tmp_path, **plan)
    assert saved["model_conf"]["objective_conf"] == {"duration": 7.0}
    own = {"objective_conf": {"duration": 9.0}}
    saved = dry_run(task, dump, tmp_path / "own", tmp_path, **plan, **own)
    assert saved["model_conf"]["objective_conf"] == {"duration": 9.0}


def test_an_objective_without_groups_is_refused_but_plain_ctc_is_not(task, dump, tmp_path):
    with pytest.raises(UserError, match="objective ctc_dro weighs groups, and none are given"):
        dry_run(task, dump, tmp_path / "exp", tmp_path, groups=False)
    saved = dry_run(task, dump, tmp_path / "ctc", tmp_path, groups=False, objective="ctc")
    assert "objective" not in saved["model_conf"]


def test_a_misspelt_key_of_the_objective_is_answered_with_the_right_one(task, dump, tmp_path):
    with pytest.raises(UserError, match="Did you mean 'smoothing'"):
        dry_run(task, dump, tmp_path / "exp", tmp_path, objective_conf={"smothing": 0.1})


def test_a_run_is_not_overwritten_unless_asked_for_and_then_kept(task, dump, trained, tmp_path):
    exp = tmp_path / "exp"
    shutil.copytree(trained, exp, symlinks=True)
    words = arguments(dump, exp, write_config(tmp_path / "train.yaml", model="dro"))
    with pytest.raises(UserError, match=r"holds a training run. Add --resume true"):
        task.main(cmd=words)
    task.main(cmd=[*words, "--override", "true"])
    (aside,) = tmp_path.glob("exp.before_*")
    assert (aside / "latest.pth").exists() and (exp / "latest.pth").exists()


def test_ctc_dro_on_planned_batches_is_chosen_by_its_worst_group(task, dump, tmp_path):
    config = write_config(
        tmp_path / "train.yaml", model="dro", iterator_type="task", max_epoch=2,
        sampler_conf={"duration": 4.0}, best_model_criterion=[["valid", "worst_group_cer", "min"]],
    )  # fmt: skip
    exp = tmp_path / "exp"
    task.main(cmd=arguments(dump, exp, config))
    learnt = torch.load(exp / "valid.worst_group_cer.best.pth", weights_only=True)
    assert learnt["objective.relative_weights"].std() > 0
    assert learnt["objective.relative_weights"].mean() == pytest.approx(1)
    losses = json.loads((exp / "group_losses.json").read_text())
    assert losses["groups"] == ["deu", "eng"] and len(losses["loss"]) == 2
    assert all(loss > 0 for row in losses["loss"] for loss in row)


def test_a_reference_run_is_taken_up_and_refused_where_it_differs(task, dump, tmp_path):
    plan = {"model": "dro", "iterator_type": "task", "sampler_conf": {"duration": 4.0}}
    plain = write_config(tmp_path / "ctc.yaml", **plan, objective="ctc")
    task.main(cmd=arguments(dump, tmp_path / "plain", plain))
    excess = {"signal": "excess", "reference": str(tmp_path / "plain")}
    robust = write_config(tmp_path / "excess.yaml", **plan, objective_conf=excess)
    task.main(cmd=arguments(dump, tmp_path / "exp", robust))
    saved = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert len(saved["model_conf"]["objective_conf"]["reference"]["loss"]) == 1
    robust = write_config(tmp_path / "other.yaml", **plan, objective_conf=excess, accum_grad=2)
    with pytest.raises(UserError, match=r"1 other settings \(accum_grad 1 there, 2 here\)"):
        task.main(cmd=arguments(dump, tmp_path / "other", robust))


def test_batches_come_from_the_sampler_where_the_iterator_is_ours(task, dump, tmp_path):
    args = argparse.Namespace(iterator_type="task", sampler=None)
    with pytest.raises(UserError, match="needs a sampler. Set sampler: group_duration"):
        task.build_task_iter_factory(args, None, "train")
