"""ESPnet's CER between the encoder's layers stood in the report as the language interctc_layer3."""

from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.read.history import History


def test_only_groups_are_groups():
    values = {"cer_ctc": 0.7, "cer_interctc_layer3": 0.8, "cer_interctc_layer12": 0.9}
    values |= {"cer_deu": 0.5, "cer": 0.6, "ter_aux_deu": 0.4}
    assert History([Record("valid", 1, 1, 1, True, 1.0, values)]).groups() == ["deu"]
