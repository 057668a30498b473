"""What ``model_files`` foretells is what ESPnet writes."""

import yaml

from asr_dro_plugin.experiment.model_files import model_files


def test_training_leaves_the_files_that_were_foretold(trained):
    config = yaml.safe_load((trained / "config.yaml").read_text())
    made = {path.name for path in trained.glob("*.pth") if not path.name.startswith("checkpoint")}
    assert made - {"latest.pth", "1epoch.pth"} == set(model_files(config))
