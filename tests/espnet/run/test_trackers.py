"""Trackers: none can stop a training or change it, and each is told what it understands."""

import json
import logging
import random
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from asr_dro_plugin.espnet.run.tracker_adapters import TRACKERS, Place, start_trackers
from asr_dro_plugin.espnet.run.trackers import Tracker, Trackers
from asr_dro_plugin.experiment.metrics import Record, read_records
from asr_dro_plugin.stack.espnet_options import TRACKERS as NAMES

STEP = Record("train", 1, 2, 4, False, 1.0, {"loss": 2.5})
EPOCH = Record("train", 1, 3, 6, True, 2.0, {"loss": 2.0, "q_deu": 0.5})
VALID = Record("valid", 1, 3, 6, True, 2.0, {"cer_deu": 0.25})


@pytest.fixture
def exp(tmp_path):
    """An experiment with its settings, a picture and a sound."""
    folder = tmp_path / "asr_toy"
    folder.mkdir()
    (folder / "config.yaml").write_text("seed: 3\ntoken_list: [a, b]\npatience: null\n")
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(folder / "utt.png")
    soundfile.write(folder / "utt.wav", np.linspace(-0.5, 0.5, 1600), 16000)
    return folder


def use(tracker, exp):
    """Everything that a run gives to a tracker."""
    for record in (STEP, EPOCH, VALID):
        tracker.scalars(record)
    tracker.media("augmentation/utt", exp / "utt.png", 4)
    tracker.media("augmentation/utt.before", exp / "utt.wav", 4)
    tracker.close()


class Recorder(Tracker):
    """Remembers what it was given."""

    def __init__(self):
        self.seen = []

    def scalars(self, record):
        self.seen.append("scalars")

    def media(self, name, path, step):
        self.seen.append(path.suffix)

    def close(self):
        self.seen.append("close")


ALL = ["scalars", "scalars", "scalars", ".png", ".wav", "close"]


def failing(where, error):
    """A maker of a tracker that fails at one thing."""

    def fail(*_arguments):
        raise error

    if where == "start":
        return fail
    return lambda: type("Failing", (Recorder,), {where: fail})()


# -- apart from the training -----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["start", "scalars", "media", "close"])
@pytest.mark.parametrize("error", [ValueError("no\nroom"), SystemExit(1), OSError(28, "full")])
def test_a_tracker_that_fails_is_one_warning_and_the_others_go_on(exp, caplog, where, error):
    good = Recorder()
    with caplog.at_level(logging.WARNING):
        trackers = Trackers({"bad": failing(where, error), "good": lambda: good})
        trackers.scalars(STEP)
        use(trackers, exp)
    assert good.seen == ["scalars", *ALL]
    (line,) = caplog.messages
    assert "bad" in line and type(error).__name__ in line and "\n" not in line


def test_a_tracker_that_is_not_installed_is_named_with_the_remedy(caplog, monkeypatch, exp):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with caplog.at_level(logging.WARNING):
        use(start_trackers(exp, ["wandb"], {}, 1, 0), exp)
    (line,) = caplog.messages
    assert "wandb is not installed" in line and "pip install wandb" in line
    assert len(list(read_records(exp / "metrics.jsonl"))) == 3


def test_a_tracker_that_hangs_at_its_end_is_not_waited_for(caplog):
    forever = threading.Event()
    hanging = type("Hanging", (Recorder,), {"close": lambda self: forever.wait(60)})
    good = Recorder()
    trackers = Trackers({"hanging": hanging, "good": lambda: good}, close_seconds=0.05)
    trackers.close()
    assert good.seen == ["close"] and "hanging did not close within 0.05 s" in caplog.text
    forever.set()


def test_what_a_tracker_draws_is_drawn_back(exp):
    def draw(*_arguments):
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002

    names = ("__init__", "scalars", "media", "close")
    drawing = type("Drawing", (Tracker,), dict.fromkeys(names, draw))
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    before = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    use(Trackers({"drawing": drawing}), exp)
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002


# -- the trackers themselves -----------------------------------------------------------------------


def test_the_table_of_names_is_that_of_the_options():
    assert tuple(TRACKERS) == NAMES


def test_metrics_are_written_line_by_line_and_cut_where_the_run_goes_on(exp):
    trackers = start_trackers(exp, [], {}, 1, 0)
    for number, record in enumerate((STEP, EPOCH, VALID), 1):
        trackers.scalars(record)
        assert len(list(read_records(exp / "metrics.jsonl"))) == number  # without a close
    again = start_trackers(exp, [], {}, 1, 4)
    again.scalars(EPOCH)
    assert list(read_records(exp / "metrics.jsonl")) == [STEP, EPOCH]


def test_tensorboard_has_figures_pictures_and_sounds(exp):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    use(start_trackers(exp, ["tensorboard"], {}, 1, 0), exp)
    train, valid = (
        EventAccumulator(str(exp / "tensorboard" / phase)).Reload() for phase in ("train", "valid")
    )
    assert [(e.step, e.value) for e in train.Scalars("loss")] == [(4, 2.5), (6, 2.0)]
    assert [(e.step, e.value) for e in train.Scalars("iter_epoch")] == [(6, 1.0)]
    assert [(e.step, e.value) for e in valid.Scalars("cer_deu")] == [(6, 0.25)]
    assert [e.step for e in train.Images("augmentation/utt")] == [4]
    (sound,) = train.Audio("augmentation/utt.before")
    assert sound.sample_rate == 16000 and sound.length_frames == 1600


class Calls:
    """A stand-in for a package's object: every call of any method is noted."""

    def __init__(self, name, calls, **fixed):
        self._name, self._calls, self._fixed = name, calls, fixed

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self._calls.append((f"{self._name}.{name}", args, kwargs))
            return self._fixed.get(name)

        return call


@pytest.fixture
def calls():
    return []


@pytest.fixture
def wandb(monkeypatch, calls):
    module = ModuleType("wandb")
    module.init = lambda **given: calls.append(("init", (), given)) or Calls("run", calls)
    module.Image = module.Audio = lambda path: Path(path).name
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)


def test_wandb_is_offline_with_espnets_names_and_one_id_for_a_resumed_run(exp, wandb, calls):
    use(start_trackers(exp, ["wandb"], {}, 1, 0), exp)
    given = calls[0][2]
    assert given["mode"] == "offline" and given["dir"] == str(exp) and given["name"] == "asr_toy"
    assert given["config"] == {"seed": 3} and "resume" not in given
    logged = [(args[0], kwargs["step"]) for name, args, kwargs in calls if name == "run.log"]
    assert logged == [
        ({"metrics/loss": 2.5, "iteration": 4}, 4),
        ({"train/train_loss_epoch": 2.0, "train/train_q_deu_epoch": 0.5, "epoch": 1}, 6),
        ({"valid/valid_cer_deu_epoch": 0.25, "epoch": 1}, 6),
        ({"augmentation/utt": "utt.png"}, 4),
        ({"augmentation/utt.before": "utt.wav"}, 4),
    ]
    assert calls[-1][0] == "run.finish"
    use(start_trackers(exp, ["wandb"], {}, 1, 4), exp)
    assert [kw["id"] for name, _, kw in calls if name == "init"] == 2 * [given["id"]]
    assert json.loads((exp / "trackers.json").read_text()) == {"wandb": given["id"]}


@pytest.mark.parametrize("by", ["environment", "settings"])
def test_wandb_sends_where_the_user_says_so(exp, wandb, calls, monkeypatch, by):
    if by == "environment":
        monkeypatch.setenv("WANDB_MODE", "online")
    conf = {"wandb": {"mode": "online"}} if by == "settings" else {}
    start_trackers(exp, ["wandb"], conf, 1, 0)
    assert calls[0][2]["mode"] == "online" and calls[0][2]["resume"] == "allow"


def test_comet_is_an_archive_in_the_experiment_and_goes_on_under_its_key(exp, monkeypatch, calls):
    module = ModuleType("comet_ml")
    for name in ("OfflineExperiment", "ExistingOfflineExperiment"):
        make = lambda name=name, **given: (  # noqa: E731
            calls.append((name, (), given)) or Calls("experiment", calls, get_key="k1")
        )
        setattr(module, name, make)
    monkeypatch.setitem(sys.modules, "comet_ml", module)
    use(start_trackers(exp, ["comet"], {"comet": {"workspace": "w"}}, 1, 0), exp)
    kind, _, given = calls[0]
    assert kind == "OfflineExperiment" and given["offline_directory"] == str(exp / "comet")
    assert given["workspace"] == "w" and given["log_code"] is False
    metrics = [(a[0], kw) for name, a, kw in calls if name == "experiment.log_metrics"]
    assert metrics[0] == ({"train_loss": 2.5}, {"step": 4, "epoch": 1})
    assert metrics[2] == ({"valid_cer_deu_epoch": 0.25}, {"step": 6, "epoch": 1})
    assert calls[-1][0] == "experiment.end"
    start_trackers(exp, ["comet"], {}, 1, 4)
    kind, _, given = next(call for call in reversed(calls) if "Experiment" in call[0])
    assert kind == "ExistingOfflineExperiment" and given["previous_experiment"] == "k1"


def test_mlflow_writes_files_in_the_experiment_and_goes_on_in_its_run(exp, monkeypatch, calls):
    module, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    run = SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def client(**given):
        calls.append(("MlflowClient", (), given))
        return Calls("client", calls, create_experiment="7", create_run=run)

    module.MlflowClient = client
    entities.Metric = lambda name, value, _moment, step: (name, value, step)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    use(start_trackers(exp, ["mlflow"], {}, 1, 0), exp)
    assert calls[0][2] == {"tracking_uri": (exp / "mlruns").as_uri()}
    assert ("client.create_run", ("7",), {"run_name": "asr_toy"}) in calls
    assert ("client.log_param", ("r1", "seed", "3"), {}) in calls
    metrics = [kw["metrics"] for name, _, kw in calls if name == "client.log_batch"]
    assert metrics[0] == [("train_loss", 2.5, 4)]
    assert metrics[2] == [("valid_cer_deu_epoch", 0.25, 6)]
    files = [a[1:] for name, a, _ in calls if name == "client.log_artifact"]
    assert files == [(str(exp / f), "augmentation") for f in ("utt.png", "utt.wav")]
    calls.clear()
    use(start_trackers(exp, ["mlflow"], {}, 1, 4), exp)
    assert "client.create_run" not in {name for name, _, _ in calls}


def test_an_experiments_settings_are_read_only_for_who_wants_them(exp):
    (exp / "config.yaml").unlink()
    assert Place(exp).name == "asr_toy"
    start_trackers(exp, ["tensorboard"], {}, 1, 0).close()


def test_espnets_wandb_options_are_settings_of_the_tracker_and_ours_come_before_them():
    from asr_dro_plugin.espnet.task import adopt_wandb

    given = {
        "use_wandb": True, "wandb_project": None, "wandb_entity": "us", "wandb_name": "n",
        "wandb_id": None, "wandb_allow_val_change": True,
        "trackers": ["tensorboard"], "tracker_conf": {"wandb": {"name": "mine"}},
    }  # fmt: skip
    args = SimpleNamespace(**given)
    adopt_wandb(args, project="ESPnet_Task")
    adopt_wandb(args, project="another")  # a config.yaml that is trained from again
    conf = {"project": "ESPnet_Task", "entity": "us", "name": "mine", "allow_val_change": True}
    assert args.trackers == ["tensorboard", "wandb"] and args.tracker_conf == {"wandb": conf}
    assert args.use_wandb is False
