"""``asr-dro info`` of what training leaves counts the parameters that are in the model file."""

import json

from asr_dro_plugin.bin import info


def test_a_run_is_told_as_it_was_trained(trained, capsys):
    info.main([str(trained), "--json", "--layers"])
    out = json.loads(capsys.readouterr().out)
    tensors = out["weights"]["by_slot"]
    slots = {slot["name"]: slot for slot in out["slots"]}
    for slot in ("encoder", "ctc"):
        assert slots[slot]["trainable"] == tensors[slot]
    assert sum(layer["num_parameters"] for layer in out["layers"]) == tensors["encoder"]
    assert out["weights"]["file"] == "valid.cer_ctc.ave.pth"
    assert out["vocabulary"]["blank_id"] == 0 and out["vocabulary"]["token_type"] == "char"
    assert out["optimizer"] == {"name": "adam", "conf": {"lr": 0.002}}
    assert out["frame_shift"] == 0.04 and out["imported"] is None
