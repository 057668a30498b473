"""What ``model_files`` foretells is what ESPnet writes."""

import yaml

from asr_dro_plugin.experiment.model_files import model_files
from asr_dro_plugin.stack import espnet_options as train_options


def test_training_leaves_the_files_that_were_foretold(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    made = {path.name for path in trained.glob("*.pth") if not path.name.startswith("checkpoint")}
    assert made - {"latest.pth", "1epoch.pth"} == set(model_files(config))


def test_the_defaults_are_those_of_espnets_parser(task):
    parser = task.get_parser()
    assert tuple(parser.get_default("best_model_criterion")) == train_options.DEFAULT_CRITERIA
    assert parser.get_default("keep_nbest_models") == [train_options.DEFAULT_KEEP]
    assert parser.get_default("max_epoch") == train_options.DEFAULT_MAX_EPOCH
