"""export/onnx/folder.py: what is in the folder, what is refused, and nothing half done."""

import json
import shutil

import numpy as np
import onnx
import pytest
import torch
import yaml

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.bin.export_model import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.onnx import parity
from asr_dro_plugin.export.onnx.folder import OnnxOptions, export_onnx
from asr_dro_plugin.runtime import manifest as schema
from tests.espnet.tiny import TOKENS
from tests.export.onnx.exps import speech, write_exp
from tests.export.onnx.test_stacks import BLOCKS, NEMO_MEL

QUARTZNET = {**NEMO_MEL, "encoder": "quartznet", "encoder_conf": {"blocks": BLOCKS}}


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    return write_exp(tmp_path_factory.mktemp("root") / "asr_quartz", QUARTZNET)


@pytest.fixture(scope="module")
def out(exp, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "out"
    assert main([str(exp), "--to", "onnx", "--out", str(folder)]) == 0
    return folder


def facts_of(folder):
    return json.loads((folder / schema.MANIFEST).read_text("utf-8"))


def answer(graph, samples):
    session = parity.session_of(graph)
    return session.run(None, {"input_values": samples[None]})


def changed(exp, target, **keys):
    """A copy with other keys in its configuration."""
    shutil.copytree(exp, target)
    config = yaml.safe_load((exp / "config.yaml").read_text("utf-8"))
    (target / "config.yaml").write_text(yaml.safe_dump({**config, **keys}))
    return target


def test_every_file_is_in_the_manifest_with_its_size_and_checksum(out):
    facts = facts_of(out)
    assert facts.keys() == schema.KEYS.keys()
    for key, kinds in schema.KEYS.items():
        assert isinstance(facts[key], kinds), key
    files = {path.name for path in out.iterdir()} - {schema.MANIFEST}
    assert files == set(facts["members"])
    assert {"model.onnx", "tokens.txt", "vocab.txt", "config.json", "README.md"} == files
    for name, entry in facts["members"].items():
        assert entry == {"bytes": (out / name).stat().st_size, "sha256": sha256_of(out / name)}


def test_the_graph_says_what_it_is_without_the_manifest(out):
    facts, session = facts_of(out), parity.session_of(out / "model.onnx")
    told = session.get_modelmeta().custom_metadata_map
    assert told.keys() == schema.KEYS.keys() - set(schema.NOT_IN_GRAPH)
    for key, value in told.items():
        assert (value if isinstance(facts[key], str) else json.loads(value)) == facts[key], key
    assert facts["tokens"] == TOKENS and facts["blank_id"] == 0
    assert facts["features"]["frontend"] == "log_mel" and facts["schema"] == 1
    assert [each.name for each in session.get_inputs()] == ["input_values"]
    assert [each.name for each in session.get_outputs()] == ["log_probs", "lengths", "logprobs"]


def test_the_frames_it_promises_are_those_it_gives(out):
    facts = facts_of(out)
    for samples in (facts["min_samples"], 16000, 16000 + facts["frame_shift_samples"] // 2):
        log_probs, frames, again = answer(out / "model.onnx", speech(samples))
        assert 1 <= frames[0] == log_probs.shape[1] and np.array_equal(log_probs, again)
        assert abs(frames[0] * facts["frame_shift"] - samples / 16000) <= facts["frame_shift"]
        np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1, atol=1e-5)


def test_weights_beside_the_graph_move_with_the_folder(exp, out, tmp_path):
    export_onnx(exp, tmp_path / "first", OnnxOptions(external_data=True))
    shutil.move(tmp_path / "first", tmp_path / "moved")
    facts = facts_of(tmp_path / "moved")
    assert facts["precisions"]["fp32"]["members"] == ["model.onnx", "model.onnx.data"]
    assert (tmp_path / "moved" / "model.onnx").stat().st_size < facts_of(out)["members"][
        "model.onnx"
    ]["bytes"]
    samples = speech(20000)
    found, expected = (answer(f / "model.onnx", samples)[0] for f in (tmp_path / "moved", out))
    assert np.array_equal(found, expected)


def test_the_newest_operators_that_are_offered_give_the_same(exp, out, tmp_path):
    export_onnx(exp, tmp_path / "out", OnnxOptions(opset=20))
    assert onnx.load(tmp_path / "out" / "model.onnx").opset_import[0].version == 20
    samples = speech(20000)
    found, expected = (answer(f / "model.onnx", samples)[0] for f in (tmp_path / "out", out))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    with pytest.raises(UserError, match="--opset 30 cannot be written. Legal: 17 to 20"):
        export_onnx(exp, tmp_path / "other", OnnxOptions(opset=30))


@pytest.mark.parametrize(("keys", "words"), [
    ({"model_conf": {"ctc_weight": 0.0}, "decoder": "transformer"}, "trained without CTC.*pack"),
    ({"decoder": "transducer", "joint_net_conf": {"joint_space_size": 8}}, "is a transducer.*pack"),
    ({"encoder": "rnn", "encoder_conf": {}}, "its encoder is rnn. Legal: conformer, conv_ctc"),
    ({"token_list": ["a", "b"]}, "no <blank> among its tokens"),
    ({"encoder": "conformer", "encoder_conf": {"rel_pos_type": "legacy", "pos_enc_layer_type":
      "rel_pos"}}, "positions count from the end of the batch"),
])  # fmt: skip
def test_what_no_graph_can_be_is_refused_before_the_model_is_read(keys, words, exp, tmp_path):
    other = changed(exp, tmp_path / "exp", **keys)
    (other / "model.pth").write_bytes(b"")
    with pytest.raises(UserError, match=words):
        export_onnx(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_graph_that_computes_something_else_leaves_no_folder(exp, tmp_path, monkeypatch):
    right = parity.reference_of

    def slightly_wrong(recogniser, speech):
        return [(log_probs + 2e-4, frames) for log_probs, frames in right(recogniser, speech)]

    monkeypatch.setattr(parity, "reference_of", slightly_wrong)
    with pytest.raises(UserError, match=r"differ from torch's by 2\.\de-04"):
        export_onnx(exp, tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_options_of_one_format_are_refused_with_the_other(exp, tmp_path):
    with pytest.raises(UserError, match="--opset is about --to onnx"):
        main([str(exp), "--to", "hf", "--out", str(tmp_path / "out"), "--opset", "18"])


def test_decoding_and_language_models_go_along(exp, tmp_path):
    lm = tmp_path / "lms" / "eng"
    lm.mkdir(parents=True)
    (lm / "lm.arpa.gz").write_bytes(b"model")
    beam = tmp_path / "beam.yaml"
    beam.write_text("mode: beam\nbeam_size: 7\n")
    given = OnnxOptions(inference_config=str(beam), lm_dir=str(tmp_path / "lms"), licence="mit")
    facts = export_onnx(exp, tmp_path / "out", given)
    assert facts["decode"]["mode"] == "beam" and facts["decode"]["beam_size"] == 7
    assert facts["lm_dir"] == "lm" and "lm/eng/lm.arpa.gz" in facts["members"]
    assert "mit" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_signals_like_speech_stand_in_where_there_is_no_recording(out):
    assert facts_of(out)["parity"]["on"] == "made signals, like speech"
    assert facts_of(out)["parity"]["max_abs_diff"] < 1e-4


def test_a_tensor_that_tracing_would_freeze_is_an_error(tmp_path):
    from asr_dro_plugin.export.onnx.trace import write_graph

    class Frozen(torch.nn.Module):
        def forward(self, speech, lengths):
            x = speech[:, : int(lengths.max())][:, ::160, None].expand(-1, -1, 3)
            return x, lengths, x

    with pytest.raises(UserError, match="cannot be written as a graph.*pack"):
        write_graph(Frozen(), tmp_path / "graph.onnx", 1.0, {})
    assert list(tmp_path.iterdir()) == []


TORCHLESS = """
import sys
sys.modules["torch"] = None
from asr_dro_plugin.runtime import Recogniser
model = Recogniser(sys.argv[1])
for path in sys.argv[2:]:
    print(model.transcribe(path).text)
"""


def test_five_recordings_give_the_same_texts_where_torch_cannot_be_imported(exp, out, tmp_path):
    import subprocess
    import sys

    import soundfile

    from asr_dro_plugin.audio.read_ahead import Location
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber
    from asr_dro_plugin.transcribing.recordings import transcribe_files

    paths = [str(tmp_path / f"{number}.wav") for number in range(5)]
    for number, path in enumerate(paths):
        soundfile.write(path, speech(16000 + 3217 * number, seed=number), 16000)
    program = [sys.executable, "-c", TORCHLESS, str(out), *paths]
    found = subprocess.run(program, capture_output=True, text=True, check=True).stdout.splitlines()
    work = load_transcriber(exp, "model.pth", "cpu", read_decode_config({"mode": "greedy"}))
    locations = [Location(path, path) for path in paths]
    expected = [each.text for each in transcribe_files(work, locations, False, False)]
    assert found == expected and len(set(found)) > 1


def test_of_a_model_of_both_losses_ctc_alone_is_exported_and_so_it_is_told(tmp_path, caplog):
    sizes = {"attention_heads": 2, "linear_units": 16, "num_blocks": 1}
    both = {"model_conf": {"ctc_weight": 0.3}, "decoder": "transformer", "decoder_conf": sizes}
    exp = write_exp(tmp_path / "exp", {**QUARTZNET, **both})
    facts = export_onnx(exp, tmp_path / "out")
    assert "its decoder (transformer) is left out" in caplog.text
    assert facts["parity"]["max_abs_diff"] < 1e-4
