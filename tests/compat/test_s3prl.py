"""compat.s3prl: Hugging Face models in s3prl train with LayerDrop and on short batches."""

import builtins
import logging
import re

import pytest
import torch

from asr_dro_plugin.compat.s3prl import import_s3prl, prepare_frontend
from asr_dro_plugin.errors import UserError, how_to_install

pytest_plugins = ["tests.fixtures_ssl"]


@pytest.fixture(scope="module")
def dropping(make_tiny_ssl):
    """A checkpoint whose config asks for LayerDrop."""
    return make_tiny_ssl(layerdrop=0.9, layers=4)


def plain_frontend(path):
    from espnet2.asr.frontend.s3prl import S3prlFrontend

    conf = {"upstream": "hf_wav2vec2_custom", "path_or_url": str(path)}
    return S3prlFrontend(fs="16k", frontend_conf=conf, multilayer_feature=True)


def test_layerdrop_is_set_to_zero_and_said_once(dropping, caplog):
    frontend = plain_frontend(dropping.hf).train()
    speech, lengths = torch.randn(1, 16000), torch.tensor([16000])
    with pytest.raises(AssertionError):  # what this is for
        for _ in range(5):
            frontend(speech, lengths)
    with caplog.at_level(logging.WARNING):
        prepare_frontend(frontend)
        prepare_frontend(frontend)
    assert sum("layerdrop 0.9" in record.message for record in caplog.records) == 1
    for _ in range(5):
        frontend(speech, lengths)


def test_a_batch_shorter_than_one_mask_is_not_masked_and_the_next_one_is(tiny_ssl):
    frontend = plain_frontend(tiny_ssl.hf).train()
    short, long = torch.randn(1, 1600), torch.randn(1, 32000)
    with pytest.raises(ValueError, match="mask_length"):  # what this is for
        frontend(short, torch.tensor([1600]))
    prepare_frontend(frontend)
    assert frontend(short, torch.tensor([1600]))[0].shape == (1, 5, 16)
    model = frontend.upstream.upstream.model
    assert not model.config.apply_spec_augment
    frontend(long, torch.tensor([32000]))
    assert model.config.apply_spec_augment


def test_preparing_changes_no_parameter_and_no_name(tiny_ssl):
    frontend = plain_frontend(tiny_ssl.hf)
    before = {name: value.clone() for name, value in frontend.state_dict().items()}
    prepare_frontend(frontend)
    after = frontend.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_other_frontends_are_left_alone():
    prepare_frontend(torch.nn.Linear(1, 1))
    prepare_frontend(None)


def test_without_s3prl_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def importer(name, *args, **kwargs):
        if name.split(".")[0] == "s3prl":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importer)
    with pytest.raises(UserError, match=re.escape(how_to_install("ssl"))):
        import_s3prl()
