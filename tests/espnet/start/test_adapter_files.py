"""Model files of adapters alone: trained, continued, decoded and given away with their base."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.errors import UserError
from tests.espnet import runs

pytest_plugins = ["tests.fixtures_ssl"]
pytestmark = pytest.mark.usefixtures("one_thread")

AVERAGE = "valid.worst_group_cer.ave.pth"
STACK = {
    "frontend": "none", "normalize": "none", "specaug": "none", "specaug_conf": {},
    "encoder": "hf_wav2vec2", "frontend_conf": {}, "use_matplotlib": False, "keep_nbest_models": 2,
    "encoder_conf": {"mask_time_prob": 0.1, "mask_time_length": 2},
    "sampler_conf": {"duration": 12.0}, "accum_grad": 2,
    "use_adapter": True, "adapter": "lora", "save_strategy": "adapter_only",
    "adapter_conf": {"rank": 4, "target_modules": ["q_proj", "v_proj"]},
}  # fmt: skip
HOULSBY = {"adapter": "houlsby", "adapter_conf": {"bottleneck": 4}}
MASK = "encoder.net.model.masked_spec_embed"


@pytest.fixture(scope="module")
def base(tiny_ssl, tmp_path_factory) -> Path:
    """A pretrained folder that a test may move."""
    return Path(shutil.copytree(tiny_ssl.hf, tmp_path_factory.mktemp("base") / "hf"))


@pytest.fixture(scope="module")
def train(task, dump, base, tmp_path_factory):
    """``train(name, **changes)``: an experiment's directory; the same name goes on with it."""
    root = tmp_path_factory.mktemp("adapters")

    def run(name: str, *words: str, **changes) -> Path:
        conf = {**STACK, "ssl_checkpoint": str(base), **changes}
        task.main(cmd=[*runs.command(dump, root / name, **conf), *words])
        return root / name

    return run


@pytest.fixture(scope="module")
def trained(train):
    """Two epochs without a stop."""
    return train("straight")


def names_in(path):
    return set(torch.load(path, weights_only=True, mmap=True))


def emission(exp, model_file=AVERAGE):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    speech = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    return torch.from_numpy(load_recogniser(exp, model_file).emission([speech]).log_probs)


def config_of(exp):
    return yaml.safe_load((exp / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["1epoch.pth", AVERAGE])
def test_a_model_file_holds_adapters_and_head_and_no_pretrained_weight(trained, name):
    names = names_in(trained / name)
    objective = {name for name in names if name.startswith("objective.")}
    adapters = {name for name in names if ".lora_" in name}
    assert len(adapters) == 2 * 2 * 2 and objective
    assert names - adapters - objective == {"ctc.ctc_lo.weight", "ctc.ctc_lo.bias", MASK}


def test_a_checkpoint_to_go_on_from_holds_no_pretrained_weight_either(trained):
    names = set(runs.newest(trained)["model"])
    assert not any("base_layer" in name or "feature_extractor" in name for name in names)


def test_the_configuration_names_the_base_and_what_it_must_be(trained, base):
    conf = config_of(trained)["adapter_conf"]
    assert conf["base"] == str(base)
    assert conf["base_sha256"] == sha256_of(base / "model.safetensors")


def test_it_decodes_as_a_file_that_holds_all(trained, train):
    whole = train("whole", save_strategy="all")
    assert "base" not in config_of(whole)["adapter_conf"]
    assert any("feature_extractor" in name for name in names_in(whole / AVERAGE))
    assert torch.equal(emission(trained), emission(whole))
    assert emission(trained).std() > 1e-3


def test_espnets_own_loader_reads_it_with_its_base(trained):
    from espnet2.bin.asr_inference import Speech2Text

    loaded = Speech2Text(
        str(trained / "config.yaml"), str(trained / AVERAGE), ctc_weight=1.0, beam_size=1
    )
    speech = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    with torch.no_grad():
        encoded = loaded.asr_model.encode(torch.from_numpy(speech)[None], torch.tensor([16000]))[0]
    found = loaded.asr_model.ctc.log_softmax(encoded)
    torch.testing.assert_close(found, emission(trained))


@pytest.mark.parametrize("changes", [{}, HOULSBY], ids=["lora", "houlsby"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(trained, train, changes):
    name = f"stopped_{len(changes)}"
    straight = train(f"straight_{len(changes)}", **changes) if changes else trained
    train(name, max_epoch=1, **changes)
    found = runs.same_files(straight, train(name, **changes))
    assert found == ["valid.worst_group_cer.ave_1best.pth: in one only"]  # of its first end


def test_a_missing_base_is_named_in_one_line(trained, train, base, dump):
    aside = base.with_name("aside")
    base.rename(aside)
    try:
        for use in (lambda: emission(trained), lambda: train("straight", max_epoch=3)):
            with pytest.raises(UserError, match=f"{base}.* which is not there") as error:
                use()
            assert "\n" not in str(error.value)
    finally:
        aside.rename(base)


def test_another_base_is_refused_by_its_sum(trained, tmp_path, make_tiny_ssl):
    exp = Path(shutil.copytree(trained, tmp_path / "exp", symlinks=True))
    config = config_of(exp)
    other = make_tiny_ssl(seed=1).hf
    config["adapter_conf"]["base"] = str(other)
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=f"{other} is another model than .* SHA-256"):
        emission(exp)


def test_a_file_that_lacks_an_adapter_is_refused(trained, tmp_path):
    exp = Path(shutil.copytree(trained, tmp_path / "exp", symlinks=True))
    state = torch.load(exp / "1epoch.pth", weights_only=True)
    gone = next(name for name in state if ".lora_A" in name)
    torch.save({name: state[name] for name in state if name != gone}, exp / "1epoch.pth")
    with pytest.raises(UserError, match=f"missing .'{gone}'"):
        emission(exp, "1epoch.pth")


def test_adapters_are_continued_on_their_base(trained, train, caplog):
    with caplog.at_level(logging.INFO):
        exp = train("more", "--init_exp", str(trained), max_epoch=1, optim_conf={"lr": 0.0})
    assert torch.equal(emission(exp, "1epoch.pth"), emission(trained))


def test_other_adapters_than_those_that_are_continued_are_refused(trained, train):
    with pytest.raises(UserError, match="has other adapters than this configuration makes"):
        train("other", "--init_exp", str(trained), **HOULSBY)


def test_a_model_without_adapters_is_a_base_too(train):
    plain = train("plain", use_adapter=False, adapter_conf={}, save_strategy="all", max_epoch=1)
    exp = train("on_plain", "--init_exp", str(plain), max_epoch=1, optim_conf={"lr": 0.0})
    assert config_of(exp)["adapter_conf"]["base"].startswith(str(plain))
    assert not any("feature_extractor" in name for name in names_in(exp / "1epoch.pth"))
    torch.testing.assert_close(emission(exp, "1epoch.pth"), emission(plain, "1epoch.pth"))


def test_a_model_with_lora_becomes_a_plain_one_to_train_on(trained, train):
    plain = {"use_adapter": False, "adapter_conf": {}, "save_strategy": "all", "max_epoch": 1}
    whole = train("whole", save_strategy="all")
    exp = train(
        "plain_again", "--init_exp", str(whole), **plain, optim_conf={"lr": 0.0}
    )  # fmt: skip
    torch.testing.assert_close(emission(exp, "1epoch.pth"), emission(whole), atol=1e-5, rtol=0)
    with pytest.raises(UserError, match="holds adapters alone.* --merge_adapters true"):
        train("plain_from_adapters", "--init_exp", str(trained), **plain)


def packed(exp, out, *words):
    """An experiment, packed and unpacked: the folder."""
    from asr_dro_plugin.bin import pack, unpack

    archive = out / f"packed{len(words)}.zip"
    assert pack.main([str(exp), "--out", str(archive), *words]) == 0
    folder = out / archive.stem
    assert unpack.main([str(archive), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def without_base(base):
    """While the pretrained model is not where it was in training."""

    def use(work):
        aside = base.with_name("aside")
        base.rename(aside)
        try:
            return work()
        finally:
            aside.rename(base)

    return use


def test_a_pack_brings_the_base_along(trained, tmp_path, without_base, monkeypatch, caplog):
    folder, expected = packed(trained, tmp_path), emission(trained)
    assert "the pretrained model" in caplog.text and "--merge_adapters true" in caplog.text
    card = (folder / "README.md").read_text()
    assert "hf_wav2vec2 with adapters (lora)" in card
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    state = load_recogniser(folder, AVERAGE).model.state_dict()
    number = sum(value.numel() for name, value in state.items() if "objective." not in name)
    assert f"| parameters and buffers | {number:,} |" in card
    monkeypatch.chdir(tmp_path)  # it is used from anywhere
    assert torch.equal(without_base(lambda: emission(folder)), expected)


def test_a_merged_pack_needs_no_base_and_no_peft(trained, tmp_path, without_base):
    folder = packed(trained, tmp_path, "--merge_adapters", "true")
    config, names = config_of(folder), names_in(folder / AVERAGE)
    assert not config["use_adapter"] and not config["adapter_conf"]
    assert not any("lora" in name or "base_layer" in name for name in names)
    assert not list(folder.rglob("*.safetensors"))
    found = without_base(lambda: emission(folder))
    torch.testing.assert_close(found, emission(trained), atol=1e-5, rtol=0)


def test_what_cannot_be_merged_is_not_packed(train, tmp_path):
    for name, changes, words in (
        ("straight_2", HOULSBY, "houlsby cannot be merged"),
        ("plain", {"use_adapter": False, "adapter_conf": {}, "save_strategy": "all"}, "no adapt"),
    ):
        exp = train(name, max_epoch=1, **changes)
        with pytest.raises(UserError, match=words):
            packed(exp, tmp_path, "--model_file", "1epoch.pth", "--merge_adapters", "true")
        assert not list(tmp_path.glob("*.zip"))
