"""compat.fairseq: imports without side effects, says what it drops, cures only what needs it."""

import builtins
import dataclasses
import json
import logging
import os
import re
import subprocess
import sys

import pytest
import torch

from asr_dro_plugin.compat import fairseq as compat
from asr_dro_plugin.errors import UserError, how_to_install

pytest_plugins = ["tests.fixtures_ssl"]
UNKNOWN = ["eval_wer", "eval_wer_config", "multiple_train_files"]


@pytest.fixture(autouse=True)
def _report_again():
    compat.report_dropped_keys.cache_clear()


def encode(path):
    """Output (1, T, 16) of ESPnet's encoder for one second of noise."""
    from asr_dro_plugin.espnet.parts.ssl import PreparedWav2Vec2Encoder

    encoder = PreparedWav2Vec2Encoder(
        input_size=1, w2v_url=path.name, w2v_dir_path=str(path.parent), output_size=16
    ).eval()
    speech = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return encoder(speech, torch.tensor([16000]))[0]


def test_keys_that_fairseq_does_not_know_are_reported_once(tiny_ssl, caplog):
    conf = {"w2v_url": tiny_ssl.fairseq.name, "w2v_dir_path": str(tiny_ssl.folder)}
    with caplog.at_level(logging.WARNING):
        compat.prepare_encoder(conf)
        compat.prepare_encoder(conf)
    said = [record.message for record in caplog.records if "dropped" in record.message]
    assert len(said) == 1
    assert all(key in said[0] for key in UNKNOWN) and compat.fairseq_version() in said[0]
    assert compat.report_dropped_keys(str(tiny_ssl.fairseq)) == {"task": UNKNOWN}


def test_a_checkpoint_with_multiple_train_files_encodes(tiny_ssl):
    assert encode(tiny_ssl.fairseq).shape == (1, 49, 16)


def test_an_utterance_that_could_be_masked_whole_leaves_its_batch_unmasked(tiny_ssl):
    from asr_dro_plugin.espnet.parts.ssl import PreparedWav2Vec2Encoder

    conf = {"w2v_url": tiny_ssl.fairseq.name, "w2v_dir_path": str(tiny_ssl.folder)}
    encoder = PreparedWav2Vec2Encoder(input_size=1, output_size=16, **conf).train()
    speech = torch.randn(4, 16000)
    for shortest in (400, 2000, 6400, 9000):  # 1, 5, 19 and 27 frames: ESPnet's own raises an error
        lengths = torch.tensor([16000, 16000, 16000, shortest])
        assert torch.isfinite(encoder(speech, lengths)[0]).all()
    masked = []
    encoder.encoders.apply_mask = lambda x, *a, **k: masked.append(len(x)) or (x, None)
    encoder(speech, torch.tensor([16000] * 4))
    encoder(speech, lengths)
    encoder.eval()(speech, torch.tensor([16000] * 4))
    assert masked == [4]


def test_importing_fairseq_leaves_the_root_logger_as_it_was():
    script = (
        "import logging, sys; h = logging.StreamHandler(sys.stdout);"
        "h.setFormatter(logging.Formatter('mine %(message)s'));"
        "logging.basicConfig(level=logging.WARNING, handlers=[h], force=True);"
        "from asr_dro_plugin.compat.fairseq import import_fairseq; import_fairseq();"
        "r = logging.getLogger(); assert r.handlers == [h] and r.level == logging.WARNING;"
        "r.warning('hello'); r.info('not this')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "mine hello\n"), done.stderr


def test_the_cures_are_inert_with_the_fairseq_that_the_extra_installs():
    if compat.fairseq_version() != "fairseq-fixed 0.12.3.1":
        pytest.skip(f"installed: {compat.fairseq_version()}")
    fairseq = compat.import_fairseq()
    assert dataclasses.dataclass.__module__ == "dataclasses"
    assert not hasattr(fairseq.tasks.merge_with_parent, "__wrapped__")


def test_the_hash_cure_reaches_fairseq_only():
    with compat._hashable_configs():
        theirs = dataclasses.dataclass(type("Config", (), {"__module__": "fairseq.x"}))
        others = dataclasses.dataclass(type("Config", (), {"__module__": "torch.x"}))
        own_hash = type("Config", (), {"__module__": "fairseq.x", "__hash__": lambda self: 7})
        assert hash(dataclasses.dataclass(own_hash)()) == 7
    assert isinstance(hash(theirs()), int)
    with pytest.raises(TypeError):
        hash(others())


def test_the_task_cure_passes_remove_missing_once():
    calls = []
    tasks = type("tasks", (), {"merge_with_parent": staticmethod(lambda *a, **k: calls.append(k))})
    compat._drop_unknown_keys_in_tasks(tasks)
    first = tasks.merge_with_parent
    compat._drop_unknown_keys_in_tasks(tasks)
    assert tasks.merge_with_parent is first
    first(1, 2)
    assert calls == [{"remove_missing": True}]


def test_without_fairseq_the_extra_and_the_option_are_named(monkeypatch):
    real = builtins.__import__

    def importer(name, *args, **kwargs):
        if name.split(".")[0] == "fairseq":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importer)
    with pytest.raises(UserError, match=re.escape(how_to_install("fairseq"))):
        compat.import_fairseq()


def test_fairseq_0_12_2_imports_and_loads_the_checkpoint(tiny_ssl):
    """Needs FAIRSEQ_UPSTREAM, a folder made by pip install --no-deps --target (see the message)."""
    folder = os.environ.get("FAIRSEQ_UPSTREAM")
    if not folder:
        pytest.skip("pip install --no-deps --target DIR fairseq==0.12.2; FAIRSEQ_UPSTREAM=DIR")
    script = (
        "import sys, json, torch; sys.path.insert(0, sys.argv[1]);"
        "from asr_dro_plugin.compat import fairseq as c; c.prepare_encoder("
        "{'w2v_url': 'fairseq.pt', 'w2v_dir_path': sys.argv[2]}); import fairseq;"
        "from fairseq.checkpoint_utils import load_model_ensemble_and_task as load;"
        "m = load([sys.argv[2] + '/fairseq.pt'])[0][0].eval();"
        "x = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0));"
        "y = m(x, None, mask=False, features_only=True)['x'];"
        "print(json.dumps([c.fairseq_version(), fairseq.__file__, y.sum().item()]))"
    )
    command = [sys.executable, "-c", script, folder, str(tiny_ssl.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    version, file, total = json.loads(done.stdout.splitlines()[-1])
    assert version.startswith("fairseq 0.12.2") and file.startswith(folder)
    assert total == pytest.approx(encode(tiny_ssl.fairseq).sum().item(), abs=1e-3)
