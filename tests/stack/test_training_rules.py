"""Settings of the training that contradict each other are refused; the refusal says what to do."""

import logging

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.training_rules import check_training, num_updates

CTC = {"encoder": "conv_ctc", "decoder": "none", "model_conf": {"ctc_weight": 1.0}}
DRO = {**CTC, "model": "dro"}
TASK = {**DRO, "iterator_type": "task"}
SSL = {**DRO, "frontend": "s3prl", "encoder": "identity"}
RAW = {**DRO, "frontend": "none", "encoder": "wav2vec2"}
HOUR = {"max_epoch": 10, "num_iters_per_epoch": 100, "accum_grad": 4}  # 250 updates
REFERENCE = "exp/asr_ctc/group_losses.json"


def conf(**objective_conf) -> dict:
    return {**TASK, "objective_conf": objective_conf}


def switched(**experimental) -> dict:
    return conf(experimental=experimental)


@pytest.mark.parametrize(
    "config",
    [
        CTC,  # ESPnet's model without an objective of ours
        DRO,
        {**DRO, "objective": "none", "batch_type": "numel"},
        {**DRO, "objective": "group_dro", "batch_type": "numel"},  # batches of several groups
        TASK,
        {**TASK, "sampler": "temperature", "sampler_conf": {"tau": 2.0}},
        {**TASK, "valid_iterator_type": "sequence", "valid_batch_size": 4, "batch_type": "sorted"},
        {**DRO, "sampler": "none"},
        conf(smoothing=0.1, step_size=1e-4),
        conf(smoothing=0.1, smoothing_rel=None),
        switched(signal="excess", reference=REFERENCE),
        {**switched(acts_on="sampling"), "sampler": "balanced"},
        {**SSL, "freeze_cnn": True, "feature_grad_mult": 0.0},
        {**RAW, "feature_grad_mult": 0.1, "freeze_finetune_updates": 100, **HOUR},
        {**RAW, "encoder_conf": {"freeze_finetune_updates": 5}, "freeze_finetune_updates": 5},
        {**RAW, "feature_grad_mult": "none"},
        {**DRO, **HOUR, "scheduler": "onecyclelr", "scheduler_conf": {"total_steps": 250}},
        {**DRO, "keep_checkpoints": 2, "save_interval_steps": 0, "sanity_batches": 0},
        {**DRO, "num_iters_per_epoch": "none", "log_interval": None},
        {**DRO, "trackers": ["wandb"], "tracker_conf": {"wandb": {"mode": "online"}}},
        {**TASK, "max_cache_size": "2GB"},
        {**TASK, "max_cache_size": 0, "rir_scp": "rirs.scp"},
        {**TASK, "max_cache_size": "2GB", "rir_scp": "none", "noise_scp": None},
    ],
)
def test_what_goes_together_passes_in_silence(config, caplog):
    with caplog.at_level(logging.WARNING):
        check_training(config, "x.yaml")
    assert not caplog.text


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**CTC, "objective": "ctc_dro"}, "ctc_dro needs model: dro; here model is espnet"),
        ({**CTC, "objective_conf": {"cap": 2.0}}, "needs model: dro"),
        ({**DRO, "decoder": "transducer"}, "not a transducer's"),
        ({**DRO, "ctc_conf": {"ctc_type": "gtnctc"}}, "ctc_type builtin, not gtnctc"),
        ({**DRO, "objective_conf": {"acts_on": "both"}}, "acts_on is both.*iterator_type: task"),
        ({**switched(acts_on="sampling"), "sampler": "sorted"}, "group_duration, balanced or temp"),
        ({**DRO, "sampler": "balanced"}, "sampler is ignored while iterator_type is sequence"),
        ({**DRO, "sampler_conf": {"duration": 9.0}}, "sampler_conf is ignored.*Set iterator_type"),
        ({**TASK, "sampler": "none"}, "task needs a sampler, for example"),
        ({**TASK, "batch_type": "numel", "batch_bins": 9}, "batch_type, batch_bins would be ignor"),
        ({**TASK, "valid_batch_size": 9}, "valid_batch_size would be ignored"),
        ({**RAW, "feature_grad_mult": 1.5}, "feature_grad_mult is 1.5. Legal: 0"),
        ({**SSL, "feature_grad_mult": 0.1, "freeze_cnn": "true"}, "Leave one of them out"),
        ({**DRO, "freeze_cnn": True}, "this stack has none. Leave them out"),
        ({**DRO, "tracker_conf": {"wanb": {}}}, "which is no tracker. Did you mean 'wandb'"),
        ({**DRO, "tracker_conf": {"comet": "me"}}, "tracker_conf.comet must be a mapping"),
        ({**DRO, "freeze_finetune_updates": 3}, "this stack has none"),
        ({**RAW, "encoder_conf": {"freeze_finetune_updates": 5}, "freeze_finetune_updates": 6},
         "freeze_finetune_updates is 6, but encoder_conf.freeze_finetune_updates is 5"),
        ({**SSL, "freeze_finetune_updates": 5, "use_adapter": True}, "use_adapter"),
        ({**SSL, "freeze_finetune_updates": 250, **HOUR}, "is 250: the pretrained model would nev"),
        ({**DRO, **HOUR, "scheduler": "onecyclelr", "scheduler_conf": {"total_steps": 249}},
         "stop with an error after 249 updates"),
        ({**DRO, "keep_checkpoints": 1}, "keep_checkpoints is 1. It must be at least 2"),
        ({**DRO, "save_interval_steps": -1}, "must be at least 0"),
        ({**DRO, "num_iters_per_epoch": 0}, "num_iters_per_epoch is 0. It must be at least 1"),
        ({**DRO, **HOUR, "accum_grad": 0}, "accum_grad is 0. It must be at least 1"),
        ({**DRO, "log_interval": 0}, "log_interval is 0. It must be at least 1"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_in_one_line(config, words):
    with pytest.raises(UserError, match=f"^x.yaml: .*{words}"):
        check_training(config, "x.yaml")


def test_a_schedule_of_another_length_is_warned_about(caplog):
    config = {**DRO, **HOUR, "scheduler": "tri_stage", "scheduler_conf": {"max_steps": 300}}
    with caplog.at_level(logging.WARNING):
        check_training(config, "x.yaml")
    assert "max_steps is 300, but training takes 250 updates" in caplog.text


@pytest.mark.parametrize("size", [1e9, "0.5GB", "1000"])
def test_a_cache_of_augmented_utterances_is_warned_about(size, caplog):
    config = {**TASK, "max_cache_size": size, "rir_scp": "rirs.scp", "noise_scp": "noises.scp"}
    with caplog.at_level(logging.WARNING):
        check_training(config, "x.yaml")
    assert "as rir_scp and noise_scp first changed them" in caplog.text
    assert "a resumed run" in caplog.text


def test_the_number_of_updates_is_known_where_the_iterations_are():
    assert num_updates(HOUR) == 250
    assert num_updates({"num_iters_per_epoch": "7"}) == 280  # 40 epochs
    assert num_updates({"max_epoch": 3}) is None
    assert num_updates({**HOUR, "num_iters_per_epoch": None}) is None


def test_a_switch_beside_experimental_is_read_as_before_with_one_warning(caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(UserError, match="acts_on is both"):
        check_training({**DRO, "objective_conf": {"cap": 2.0, "acts_on": "both"}}, "x.yaml")
    (record,) = caplog.records
    assert "acts_on cap moved into objective_conf.experimental" in record.getMessage()
