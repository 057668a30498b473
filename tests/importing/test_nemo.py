"""--from nemo: every tensor in its place, the same output, nothing of a stranger's run."""

import copy

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features.log_mel_torch import BatchLogMel
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.nets.quartznet import QuartzNet
from tests.hostile import WRITERS, attacks
from tests.importing import nemo_files
from tests.importing.nemo_files import JASPER, LABELS, MELS, as_bytes, config, weights, write_nemo
from tests.importing.reading import everything_below, imported, read
from tests.tars import entry, write_tar

LAYOUTS = {
    "plain": {}, "gzip": {"compressed": True}, "dotted": {"prefix": "./"},
    "dotted_gzip": {"prefix": "./", "compressed": True},
}  # fmt: skip


def speech(samples=16000):
    return 0.1 * torch.randn(1, samples, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def computed(folder, samples):
    """(1, N) -> (1, S, V) by the network and the features of an imported folder."""
    conf, state, _, _ = read(folder)
    net = QuartzNet(conf["frontend_conf"]["n_mels"], **conf["encoder_conf"]).eval()
    net.load_state_dict({
        name.removeprefix("encoder.net."): tensor
        for name, tensor in state.items()
        if name.startswith("encoder.")
    })  # fmt: skip
    frontend = BatchLogMel(LogMelSettings(**conf["frontend_conf"])).eval()
    hidden, _ = net(*frontend(samples, torch.tensor([samples.shape[1]])))
    head = (state["ctc.ctc_lo.weight"], state["ctc.ctc_lo.bias"])
    return torch.nn.functional.linear(hidden, *head).log_softmax(-1)


@pytest.mark.parametrize("masked", [True, False], ids=["conv_mask", "no_conv_mask"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_is_used_and_the_output_is_that_of_a_plain_reference(layout, masked, tmp_path):
    made, state = config(), weights(masked)
    made["encoder"]["conv_mask"] = masked
    path = write_nemo(tmp_path / "model.nemo", made, state, **LAYOUTS[layout])
    out = imported("nemo", path, tmp_path / "exp")
    tensors = read(out)[2]["tensors"]
    assert tensors["missing"] == tensors["unexpected"] == tensors["made"] == []
    tables = {row["name"] for row in tensors["not_used"]}
    assert tables == {name for name in state if name.startswith("preprocessor.")}
    assert {row["from"] for row in tensors["used"]} == state.keys() - tables
    features, _ = BatchLogMel(LogMelSettings(n_mels=MELS)).eval()(speech(), torch.tensor([16000]))
    expected = nemo_files.reference(state, features, masked)
    assert expected.shape == (1, 50, len(LABELS) + 1)
    assert expected.std(dim=1).min() > 0.1  # it is not the same in every frame
    torch.testing.assert_close(computed(out, speech()), expected, rtol=0, atol=1e-5)


def test_the_blank_is_the_last_token_and_a_space_has_its_name(tmp_path):
    out = imported("nemo", write_nemo(tmp_path / "model.nemo"), tmp_path / "exp")
    conf, _, facts, tokens = read(out)
    assert tokens == conf["token_list"] == ["<space>", "а", "б", "в", "г", "<blank>"]
    assert facts["blank_id"] == 5 and facts["casing"] == "lower"


def test_the_configuration_of_the_first_releases_is_read(tmp_path):
    made = config()
    for name in ("preprocessor", "encoder", "decoder"):
        params = made[name]
        made[name] = {"cls": params.pop("_target_"), "params": params}
    del made["nemo_version"]
    made["decoder"]["params"]["vocabulary"] = "???"
    path = write_nemo(tmp_path / "model.nemo", made, compressed=True)
    conf, _, facts, tokens = read(imported("nemo", path, tmp_path / "exp"))
    assert tokens[-1] == "<blank>" and len(conf["encoder_conf"]["blocks"]) == len(JASPER)
    assert conf["frontend_conf"]["pad_mode"] == "reflect"
    assert conf["frontend_conf"]["frame_count"] == "ceil"
    assert "old NeMo" in facts["notes"][0]


@pytest.mark.parametrize(("version", "pad_mode", "count"), [
    ("1.0.0b4", "reflect", "ceil"), ("1.23.0", "reflect", "all"), ("2.0.0", "constant", "floor"),
])  # fmt: skip
def test_features_are_those_of_the_release_that_wrote_the_file(version, pad_mode, count, tmp_path):
    path = write_nemo(tmp_path / "model.nemo", config(nemo_version=version))
    conf = read(imported("nemo", path, tmp_path / "exp"))[0]["frontend_conf"]
    assert (conf["pad_mode"], conf["frame_count"]) == (pad_mode, count)


def test_anchors_and_question_marks_of_a_yaml_are_read(tmp_path):
    text = (
        "nemo_version: 2.0.0\nlabels: &labels [' ', а, б, в, г]\n"
        "train_ds:\n  manifest_filepath: ???\n  labels: *labels\n"
        "preprocessor: {_target_: x.AudioToMelSpectrogramPreprocessor, features: 16}\n"
        "decoder: {_target_: x.ConvASRDecoder, feat_in: 16, vocabulary: *labels}\n"
        "encoder:\n  _target_: x.ConvASREncoder\n  jasper:\n"
    )
    for block in JASPER:
        text += f"  - {block}\n"
    members = [("model_config.yaml", text.encode()), ("model_weights.ckpt", as_bytes(weights()))]
    path = write_tar(tmp_path / "model.nemo", members)
    assert read(imported("nemo", path, tmp_path / "exp"))[3][1] == "а"


def broken(change):
    """A configuration with a change."""
    made = copy.deepcopy(config())
    change(made)
    return made


@pytest.mark.parametrize(("change", "words"), [
    (lambda c: c.update(tokenizer={"dir": "???", "type": "bpe"}), "sub-words of a tokenizer"),
    (lambda c: c["encoder"].update(_target_="x.ConformerEncoder"), "its encoder is Conformer"),
    (lambda c: c["decoder"].update(_target_="x.RNNTDecoder"), "its decoder is RNNTDecoder"),
    (lambda c: c["encoder"].update(activation="selu"), "encoder.activation is selu"),
    (lambda c: c["encoder"]["jasper"][1].update(groups=2), r"jasper\[1\].groups is 2"),
    (lambda c: c["encoder"]["jasper"][1].update(novel=1), r"jasper\[1\].novel is not known"),
    (lambda c: c["encoder"]["jasper"][1].update(kernel=[3, 3]), "not a whole number"),
    (lambda c: c["encoder"]["jasper"][1].update(repeat=10**9), "whole number in 1..10000"),
    (lambda c: c["encoder"]["jasper"][1].update(repeat=9999), "sub-blocks, more than any"),
    (lambda c: c["encoder"]["jasper"][1].update(kernel=[4]), "kernel must be odd"),
    (lambda c: c["encoder"]["jasper"][0].update(dilation=[2]), "exclude each other"),
    (lambda c: c["encoder"].pop("jasper"), "no list encoder.jasper"),
    (lambda c: c.pop("decoder"), "no section decoder"),
    (lambda c: c.pop("preprocessor"), "no section preprocessor"),
    (lambda c: c["preprocessor"].update(sample_rate=8000), "audio at 8000 Hz"),
    (lambda c: c["preprocessor"].update(features=80), "featurizer.fb is not what"),
    (lambda c: c["preprocessor"].update(window="hamming"), "featurizer.window is not what"),
    (lambda c: c["preprocessor"].update(frame_splicing=2), "frame_splicing is 2"),
    (lambda c: c["decoder"].update(vocabulary=LABELS[:3]), "the vocabulary has 4 tokens"),
    (lambda c: c["decoder"].update(vocabulary=[*LABELS[:4], "а"]), "a label twice"),
    (lambda c: c["encoder"]["jasper"][3].update(filters=20), "has the shape"),
    (lambda c: c["encoder"]["jasper"].pop(3), "lacks|has the shape"),
])  # fmt: skip
def test_what_is_no_quartznet_is_one_line(change, words, tmp_path):
    path = write_nemo(tmp_path / "model.nemo", broken(change))
    with pytest.raises(UserError, match=words) as caught:
        imported("nemo", path, tmp_path / "exp")
    assert "\n" not in str(caught.value)
    assert everything_below(tmp_path) == {"model.nemo"}


@pytest.mark.parametrize("name", [
    "encoder.encoder.1.mconv.6.conv.weight", "encoder.encoder.2.res.0.1.running_var",
    "encoder.encoder.2.mconv.8.fc.2.weight", "decoder.decoder_layers.0.bias",
])  # fmt: skip
@pytest.mark.parametrize("fault", ["deleted", "misshapen"])
def test_a_tensor_that_is_missing_or_misshapen_is_named_and_nothing_is_left(fault, name, tmp_path):
    state = weights()
    if fault == "deleted":
        del state[name]
    else:
        state[name] = torch.ones(3, *state[name].shape)
    path = write_nemo(tmp_path / "model.nemo", state=state)
    with pytest.raises(UserError) as caught:
        imported("nemo", path, tmp_path / "exp")
    assert name in str(caught.value)
    assert everything_below(tmp_path) == {"model.nemo"}


def test_an_archive_that_is_refused_leaves_nothing(tmp_path):
    again = entry("./model_weights.ckpt", as_bytes(weights()))
    path = write_nemo(tmp_path / "model.nemo", more=[again])
    with pytest.raises(UserError, match="twice"):
        imported("nemo", path, tmp_path / "exp")
    assert everything_below(tmp_path) == {"model.nemo"}


@pytest.mark.parametrize("layout", WRITERS)
def test_a_pickle_that_runs_code_does_not_run(layout, tmp_path):
    sentinel = tmp_path / "sentinel"
    for trick, pickled in attacks(sentinel).items():
        raw = WRITERS[layout](tmp_path / "raw", pickled)
        path = write_nemo(tmp_path / "model.nemo", content=raw.read_bytes())
        raw.unlink()
        with pytest.raises(UserError, match="member model_weights.ckpt"):
            imported("nemo", path, tmp_path / "exp")
        assert everything_below(tmp_path) == {"model.nemo"}, trick


def test_a_yaml_that_names_itself_without_end_is_refused(tmp_path):
    lines = ["a: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"b{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path = write_tar(tmp_path / "model.nemo", [
        ("model_config.yaml", "\n".join(lines).encode()), ("model_weights.ckpt", b"")
    ])  # fmt: skip
    with pytest.raises(UserError, match="as bombs do"):
        imported("nemo", path, tmp_path / "exp")


def test_a_yaml_that_would_make_objects_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_tar(tmp_path / "model.nemo", [
        ("model_config.yaml", b"encoder: !!python/object/apply:os.mkdir [sentinel]\n"),
        ("model_weights.ckpt", b""),
    ])  # fmt: skip
    with pytest.raises(UserError, match="cannot be read as plain YAML"):
        imported("nemo", path, tmp_path / "exp")
    assert everything_below(tmp_path) == {"model.nemo"}


@pytest.mark.parametrize("missing", ["model_config.yaml", "model_weights.ckpt"])
def test_an_archive_without_its_parts_is_refused(missing, tmp_path):
    parts = {"model_config.yaml": b"a: 1\n", "model_weights.ckpt": as_bytes(weights())}
    del parts[missing]
    path = write_tar(tmp_path / "model.nemo", list(parts.items()))
    with pytest.raises(UserError, match=f"has no member {missing}"):
        imported("nemo", path, tmp_path / "exp")


def test_a_new_vocabulary_replaces_the_head_alone(tmp_path):
    (tmp_path / "new.txt").write_text("<blank>\nа\nё\n<space>\n")
    path = write_nemo(tmp_path / "model.nemo")
    first = read(imported("nemo", path, tmp_path / "exp"))[1]
    vocab = tmp_path / "new.txt"
    _, state, facts, tokens = read(imported("nemo", path, tmp_path / "new", new_vocab=vocab))
    assert all(torch.equal(state[n], first[n]) for n in first if n.startswith("encoder."))
    assert tokens == ["<blank>", "а", "ё", "<space>"] and facts["blank_id"] == 0
    for row, old in ((0, 5), (1, 1), (3, 0)):
        for part in ("weight", "bias"):
            name = f"ctc.ctc_lo.{part}"
            assert torch.equal(state[name][row], first[name][old])
