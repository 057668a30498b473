"""A training with auxiliary targets, from its first epoch to the packed model: one small run."""

import zipfile

import pytest
import torch
import yaml

from asr_dro_plugin.bin import pack
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.decode.inference import load_recogniser
from asr_dro_plugin.espnet.start.checks import model_conf_of
from asr_dro_plugin.experiment.info import VocabularyFacts, stack_info
from asr_dro_plugin.experiment.metrics import read_records
from asr_dro_plugin.experiment.model_files import read_experiment_config
from tests import toy
from tests.espnet.conftest import CONFIG, arguments, aux_arguments, write_config

MODEL = "valid.worst_group_cer.ave.pth"
CHANGES = {
    "model": "dro", "iterator_type": "task", "sampler_conf": {"duration": 4.0},
    "best_model_criterion": [["valid", "worst_group_cer", "min"]],
    "model_conf": {"ctc_weight": 1.0, "interctc_weight": 0.3, "aux_ctc": {"1": "text_aux"}},
    "encoder_conf": {**CONFIG["encoder_conf"], "num_blocks": 2, "interctc_layer_idx": [1]},
}  # fmt: skip


@pytest.fixture(scope="module")
def begun(task, dump, tmp_path_factory):
    """(command line, experiment) of one epoch."""
    root = tmp_path_factory.mktemp("aux")
    config = write_config(root / "train.yaml", **CHANGES)
    words = [*arguments(dump, root / "exp", config), *aux_arguments(dump), "--resume", "true"]
    task.main(cmd=words)
    return words, root / "exp"


def valid_figures(exp):
    """Figures of each validation."""
    records = read_records(exp / "metrics.jsonl")
    return [record.values for record in records if record.phase == "valid"]


def test_validation_logs_loss_and_unit_errors_by_group(begun):
    (figures,) = valid_figures(begun[1])
    assert {"ter_aux", "ter_aux_deu", "ter_aux_eng", "loss_interctc_layer1"} <= set(figures)


def test_the_configuration_alone_builds_the_model_and_decoding_needs_no_units(begun):
    saved = yaml.safe_load((begun[1] / "config.yaml").read_text())
    assert saved["model_conf"]["aux_token_list"] == toy.UNITS
    recogniser = load_recogniser(begun[1], MODEL)
    speech = toy.utterances(num=1)[0].samples
    emission = recogniser.emission([speech])
    assert emission.log_probs.shape[2] == len(toy.tokens())


def test_info_counts_every_parameter(begun):
    recogniser = load_recogniser(begun[1], MODEL)
    info = stack_info(read_experiment_config(begun[1]), VocabularyFacts(len(toy.tokens())))
    assert info.num_parameters == sum(p.numel() for p in recogniser.model.parameters())
    assert info.slots[-1].note == "learns text_aux after layer 1"
    untold = stack_info(CONFIG | CHANGES, None)
    assert untold.slots[-1].name == "ctc_aux" and untold.num_parameters is None


def test_the_packed_model_holds_the_units_and_no_path_of_this_machine(begun, tmp_path):
    assert pack.main([str(begun[1]), "--out", str(tmp_path / "x.zip"), "--model_file", MODEL]) in (
        None, 0,
    )  # fmt: skip
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("config.yaml")]
        config = yaml.safe_load(archive.read(name))
    assert config["aux_token_list"] is None
    assert config["model_conf"]["aux_token_list"] == toy.UNITS


def test_a_run_goes_on_and_others_than_its_own_units_begin_anew(begun, task, dump, tmp_path):
    words, exp = begun
    task.main(cmd=[*words, "--max_epoch", "2"])
    assert len(valid_figures(exp)) == 2
    state = torch.load(exp / MODEL, weights_only=True)
    # Another training, of other units: rows go by the unit, and what is new begins as it is.
    units = ["<blank>", "<unk>", "a", "e", "b", "c", "d", "<sos/eos>"]
    (tmp_path / "units.txt").write_text("".join(f"{unit}\n" for unit in units))
    args = task.get_parser().parse_args(
        [*words, "--aux_token_list", str(tmp_path / "units.txt"), "--init_exp", str(exp)]
    )
    args.token_list = toy.tokens()
    args.groups = ["deu", "eng"]
    args.model_conf = model_conf_of(args)
    bias = task.build_model(args).state_dict()["ctc_aux.ctc_lo.bias"]
    old = state["ctc_aux.ctc_lo.bias"]
    for unit in toy.UNITS:
        assert bias[units.index(unit)] == old[toy.UNITS.index(unit)], unit
    assert bias[units.index("e")] not in old


def test_a_yaml_that_learns_units_without_a_list_and_the_other_way_round(task, dump, tmp_path):
    config = write_config(tmp_path / "aux.yaml", **CHANGES)
    with pytest.raises(UserError, match="whose list of units is not given. Give --aux_token_list"):
        task.main(cmd=arguments(dump, tmp_path / "exp", config))
    plain = write_config(tmp_path / "plain.yaml", model="dro")
    with pytest.raises(
        UserError, match="tokens_aux.txt would be ignored: model_conf.aux_ctc names"
    ):
        task.main(cmd=[*arguments(dump, tmp_path / "exp", plain), *aux_arguments(dump)])
    assert not (tmp_path / "exp" / "config.yaml").exists()
