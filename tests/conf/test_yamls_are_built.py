"""Every shipped training configuration becomes a model with its objective, and takes a step."""

import argparse
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.experiment.model_files import check_model_file
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.training_rules import num_updates
from asr_dro_plugin.text.whisper_tokens import read_tokenizer, token_names

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "conf").glob("train_asr_*.yaml"))
GROUPS = ["ces", "pol", "spa"]
TOKENS = ["<blank>", "<unk>", "[ces]", "[pol]", "[spa]", "a", "b", "<sos/eos>"]
UNITS = ["<blank>", "<unk>", "tʃ", "a", "<sos/eos>"]  # of auxiliary targets
OF_FAIRSEQ = ("wav2vec2", "fairseq_wav2vec2")  # encoders that take a file of fairseq's


@pytest.fixture(scope="module")
def task():
    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.espnet.task import DROASRTask

    yield DROASRTask
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def built(request, task, tiny_ssl, tiny_whisper, make_tiny_whisper, tmp_path):
    """(arguments, model) of a configuration, on a tiny checkpoint where it names a real one."""
    config = load_config(request.param)
    check_config(config, str(request.param))
    if "hf_whisper" in (config["frontend"], config["encoder"]):
        named = config.get("frontend_conf", {}).get("layers")  # the tiny one may have fewer
        deep = make_tiny_whisper(hidden=8, seconds=2, layers=max(named)) if named else tiny_whisper
        config["ssl_checkpoint"] = str(deep)
    elif config.get("ssl_checkpoint"):
        layout = "fairseq" if config["encoder"] in OF_FAIRSEQ else "hf"
        config["ssl_checkpoint"] = str(getattr(tiny_ssl, layout))
    args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **config})
    args.token_list, args.groups = TOKENS, GROUPS
    if config["decoder"] == "hf_whisper":
        args.token_list = token_names(read_tokenizer(tiny_whisper))
    for slot in ("frontend", "specaug", "preencoder", "decoder"):  # as the parser reads them
        if getattr(args, slot) == "none":
            setattr(args, slot, None)
    if args.normalize == "global_mvn":  # stage 10's count, sums and sums of squares
        stats = tmp_path / "feats_stats.npz"
        n_mels = args.frontend_conf["n_mels"]
        np.savez(stats, count=2, sum=np.zeros(n_mels), sum_square=np.full(n_mels, 2.0))
        args.normalize_conf = {"stats_file": str(stats)}
    if "aux_ctc" in args.model_conf:
        args.model_conf["aux_token_list"] = UNITS
    from asr_dro_plugin.espnet.start.checks import model_conf_of

    args.model_conf = model_conf_of(args)
    return args, task.build_model(args)


def test_it_is_built_and_takes_a_step(built, task):
    from espnet2.tasks.abs_task import scheduler_classes

    args, model = built
    assert model.objective.group_names == GROUPS
    optimizer = task.build_optimizers(args, model)[0]
    if args.scheduler:
        scheduler_classes[args.scheduler](optimizer, **args.scheduler_conf)
    model.freezing.at_update(0)
    speech, lengths = torch.randn(2, 16000) * 0.1, torch.tensor([16000, 16000])
    text = torch.tensor([[2, 5, 6], [3, 6, 5]])
    given = {"group_ids": torch.tensor([[0], [1]]), "utt_id": ["a", "b"]}
    if "aux_ctc" in args.model_conf:
        units = torch.tensor([[2, 3], [3, 2]])
        given |= {"text_aux": units, "text_aux_lengths": torch.tensor([2, 2])}
    model.train()
    loss, stats, _ = model(speech, lengths, text, torch.tensor([3, 3]), **given)
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_schedule_is_as_long_as_the_training(path):
    config = load_config(path)
    conf = config.get("scheduler_conf", {})
    length = conf.get("total_steps", conf.get("max_steps"))
    assert length in (None, num_updates(config))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_file_says_how_its_batches_and_its_loss_are_made(path):
    config = load_config(path)
    assert config["model"] == "dro" and config["objective"] in ("ctc", "group_dro", "ctc_dro")
    assert ("sampler" in config) == (config.get("iterator_type") == "task")
    assert ("batch_type" in config) != ("sampler" in config)


@pytest.mark.parametrize("suffix", ["", "_mini"])
def test_twins_differ_only_in_what_the_method_means(suffix):
    def rest(method):
        path = CONFIGS[0].parent / f"train_asr_{method}{suffix}.yaml"
        config = load_config(path)
        assert config.pop("objective") == method
        config.pop("objective_conf", None)
        check_model_file("valid.worst_group_cer.ave.pth", config, str(path))
        return config

    assert rest("ctc") == rest("group_dro") == rest("ctc_dro")
