"""TensorBoard, Weights & Biases, Comet and MLflow as trackers: on the disk of the experiment.

Nothing is sent anywhere unless the user says so: ``WANDB_MODE=online`` (or ``mode: online`` in
``tracker_conf: {wandb: ...}``), ``mode: online`` for Comet, a ``uri`` or ``MLFLOW_TRACKING_URI``.
The packages are imported here only, when they are asked for, and their own reports about their
use are off.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from espnet2.train.reporter import wandb_get_prefix

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.espnet.run.trackers import MetricsTracker, Tracker, Trackers
from asr_dro_plugin.experiment import CONFIG, METRICS
from asr_dro_plugin.experiment.metrics import Record, cut_records

# What they would send of themselves, even offline; they read it when they are imported.
SILENT = {
    "WANDB_ERROR_REPORTING": "false",
    "COMET_ERROR_TRACKING_ENABLE": "false",
    "COMET_INTERNAL_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
IDS_FILE = "trackers.json"
PROJECT = "asr-dro"
SOUND = ".wav"  # other files are pictures


@dataclass(frozen=True)
class Place:
    """What a tracker is told.

    Attributes:
        exp: the experiment's folder.
        conf: the tracker's own settings, from ``tracker_conf``.
    """

    exp: Path
    conf: Mapping = field(default_factory=dict)

    @property
    def config(self) -> dict:
        """``config.yaml`` of the run, without the list of tokens and what is not set."""
        import yaml

        config = yaml.safe_load((self.exp / CONFIG).read_text(encoding="utf-8"))
        return {k: v for k, v in config.items() if v is not None and k != "token_list"}

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.exp.resolve().name

    @property
    def ids(self) -> dict[str, str]:
        """The trackers' ids of this run, where it has been started before."""
        path = self.exp / IDS_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def keep_id(self, name: str, value: str) -> None:
        """Remember an id, so that a resumed run goes on under it."""
        ids = self.ids | {name: value}
        with atomic_write(self.exp / IDS_FILE) as stream:
            json.dump(ids, stream, indent=1)
            stream.write("\n")


class TensorBoardTracker(Tracker):
    """ESPnet's curves: ``tensorboard/train`` and ``tensorboard/valid``, steps in batches."""

    def __init__(self, place: Place) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = place.exp / "tensorboard"
        self.writers = {p: SummaryWriter(str(folder / p)) for p in ("train", "valid")}

    def scalars(self, record: Record) -> None:
        """Each figure under its plain name; the epoch first among those of its end."""
        writer = self.writers[record.phase]
        if record.whole and record.phase == "train":
            writer.add_scalar("iter_epoch", record.epoch, record.batches)
        for name, value in record.values.items():
            writer.add_scalar(name, value, record.batches)

    def media(self, name: str, path: Path, step: int) -> None:
        """A picture or a sound beside the curves of training."""
        import numpy as np
        import soundfile
        from PIL import Image

        if path.suffix == SOUND:
            samples, sample_rate = soundfile.read(path, dtype="float32")
            self.writers["train"].add_audio(name, samples[None], step, sample_rate)
            return
        with Image.open(path) as image:
            pixels_HWC = np.asarray(image.convert("RGB"))
        self.writers["train"].add_image(name, pixels_HWC, step, dataformats="HWC")

    def close(self) -> None:
        """Write out the curves."""
        for writer in self.writers.values():
            writer.close()


class WandbTracker(Tracker):
    """Weights & Biases in ``wandb/``, under ESPnet's names; ``wandb sync`` sends it later.

    ``tracker_conf`` holds arguments of ``wandb.init``.
    """

    def __init__(self, place: Place) -> None:
        import wandb

        self._wandb = wandb
        mode = place.conf.get("mode") or os.environ.get("WANDB_MODE") or "offline"
        run_id = place.conf.get("id") or place.ids.get("wandb") or secrets.token_hex(4)
        given = {
            "project": PROJECT, "name": place.name, "dir": str(place.exp),
            "config": place.config, "settings": {"console": "off"},
            # Offline there is nothing to look up: the same id joins the parts when they are sent.
            **({} if mode == "offline" else {"resume": "allow"}),
            **place.conf, "mode": mode, "id": run_id,
        }  # fmt: skip
        self.run = wandb.init(**given)
        place.keep_id("wandb", run_id)

    def scalars(self, record: Record) -> None:
        """``train/train_loss_epoch`` and ``metrics/loss``, as ESPnet has them."""
        if record.whole:
            phase = record.phase
            values = {f"{phase}/{phase}_{n}_epoch": v for n, v in record.values.items()}
            values["epoch"] = record.epoch
        else:
            values = {f"{wandb_get_prefix(name)}{name}": v for name, v in record.values.items()}
            values["iteration"] = record.batches
        self.run.log(values, step=record.batches)

    def media(self, name: str, path: Path, step: int) -> None:
        """A picture or a sound."""
        kind = self._wandb.Audio if path.suffix == SOUND else self._wandb.Image
        self.run.log({name: kind(str(path))}, step=step)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


COMETS_OWN = (
    "log_code", "log_git_metadata", "log_git_patch", "parse_args", "auto_output_logging",
    "auto_metric_logging", "log_env_details",
)  # fmt: skip


class CometTracker(Tracker):
    """Comet as an archive in ``comet/``, for ``comet upload``.

    ``tracker_conf`` holds ``mode`` (``offline`` or ``online``) and arguments of the experiment.
    """

    def __init__(self, place: Place) -> None:
        import comet_ml

        conf = {"project_name": PROJECT, **place.conf}
        is_online = conf.pop("mode", "offline") == "online"
        key = place.ids.get("comet")
        names = ("ExistingExperiment", "Experiment")
        if not is_online:
            names = ("ExistingOfflineExperiment", "OfflineExperiment")
            conf.setdefault("offline_directory", str(place.exp / "comet"))
        # Code, git and console are the user's own to send.
        quiet = {"display_summary_level": 0} | dict.fromkeys(COMETS_OWN, False)
        known = {"previous_experiment": key} if key else {}
        cls = getattr(comet_ml, names[0] if key else names[1])
        self.experiment = cls(**{**quiet, **known, **conf})
        self.experiment.set_name(place.name)
        self.experiment.log_parameters(place.config)
        place.keep_id("comet", self.experiment.get_key())

    def scalars(self, record: Record) -> None:
        """``train_loss``, and ``train_loss_epoch`` at the end of an epoch."""
        end = "_epoch" if record.whole else ""
        values = {f"{record.phase}_{name}{end}": v for name, v in record.values.items()}
        self.experiment.log_metrics(values, step=record.batches, epoch=record.epoch)

    def media(self, name: str, path: Path, step: int) -> None:
        """A picture or a sound."""
        if path.suffix == SOUND:
            self.experiment.log_audio(str(path), file_name=f"{name}.wav", step=step)
        else:
            self.experiment.log_image(str(path), name=name, step=step)

    def close(self) -> None:
        """Write the archive, or send what is left."""
        self.experiment.end()


class MLflowTracker(Tracker):
    """MLflow's files in ``mlruns/``; ``mlflow ui --backend-store-uri EXP/mlruns`` shows them.

    ``tracker_conf`` holds ``uri``, ``experiment`` and ``name``.
    """

    def __init__(self, place: Place) -> None:
        # Newer versions want a data base, which does not share a network folder well.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        conf = {"experiment": PROJECT, "name": place.name, **place.conf}
        files = (place.exp / "mlruns").absolute().as_uri()
        uri = conf.get("uri") or os.environ.get("MLFLOW_TRACKING_URI") or files
        self.client = MlflowClient(tracking_uri=uri)
        self.run_id = place.ids.get("mlflow") or self._new_run(place, conf)

    def _new_run(self, place: Place, conf: Mapping) -> str:
        found = self.client.get_experiment_by_name(conf["experiment"])
        number = found.experiment_id if found else self.client.create_experiment(conf["experiment"])
        run_id = self.client.create_run(number, run_name=conf["name"]).info.run_id
        for name, value in place.config.items():
            self.client.log_param(run_id, name, str(value)[:500])
        place.keep_id("mlflow", run_id)
        return run_id

    def scalars(self, record: Record) -> None:
        """``train_loss``, and ``train_loss_epoch`` at the end of an epoch."""
        from mlflow.entities import Metric

        end, moment = "_epoch" if record.whole else "", int(1000 * time.time())
        metrics = [
            Metric(f"{record.phase}_{name}{end}", value, moment, record.batches)
            for name, value in record.values.items()
        ]
        self.client.log_batch(self.run_id, metrics=metrics)

    def media(self, name: str, path: Path, step: int) -> None:
        """A picture or a sound, as a file of the run."""
        self.client.log_artifact(self.run_id, str(path), str(Path(name).parent))

    def close(self) -> None:
        """The run is over."""
        self.client.set_terminated(self.run_id)


TRACKERS: dict[str, Callable[[Place], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "comet": CometTracker,
    "mlflow": MLflowTracker,
}


def start_trackers(
    exp: Path, names: Sequence[str], confs: Mapping[str, Mapping], epoch: int, batches: int
) -> Trackers:
    """The trackers of a run that goes on from ``batches`` batches, in ``epoch``.

    Args:
        names: of ``TRACKERS``; ``metrics.jsonl`` is written whatever they are.
        confs: ``tracker_conf``, settings by name.
    """

    def metrics() -> Tracker:
        cut_records(exp / METRICS, epoch, batches)
        return MetricsTracker(exp / METRICS)

    for variable, value in SILENT.items():
        os.environ.setdefault(variable, value)

    places = {name: Place(exp, confs.get(name) or {}) for name in names}
    makers = {name: partial(TRACKERS[name], place) for name, place in places.items()}
    return Trackers({METRICS: metrics, **makers})
