"""The losses of each group along a run, kept so that a later run can be measured against them.

``exp/.../group_losses.json`` is what the signal ``excess`` reads (``objectives.reference``).  The
two runs must have seen the same data in the same order with the same stack and optimiser: the file
says what they were, and a difference is refused.

Source: DoReMi, Xie et al. 2023 (arXiv:2305.10429).
"""

import argparse
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives.keys import keywords

FILE_NAME = "group_losses.json"
DIGITS = 7  # a float32 has no more
LONGEST = 60  # characters of a value in a message

# Settings that change nothing of what is trained, by the reason why.
FREE = {
    "the method itself": """
        objective objective_conf groups model_conf.groups model_conf.objective
        model_conf.objective_conf extend_groups""",
    "where files lie": """
        config output_dir token_list aux_token_list bpemodel non_linguistic_symbols init_exp
        init_param pretrain_path ssl_checkpoint train_data_path_and_name_and_type train_shape_file
        valid_data_path_and_name_and_type valid_shape_file""",
    "what is kept and shown": """
        log_level log_interval use_tensorboard use_matplotlib create_graph_in_tensorboard use_wandb
        wandb_project wandb_id wandb_entity wandb_name wandb_model_log_interval
        wandb_allow_val_change trackers tracker_conf augmentation_examples augmentation_interval
        num_att_plot
        best_model_criterion keep_nbest_models nbest_averaging_interval save_interval_steps
        keep_checkpoints model_conf.report_cer model_conf.report_wer""",
    "how it is run": """
        dry_run resume override print_config collect_stats write_collected_feats sanity_batches
        probe_memory max_skipped_steps detect_anomaly valid_batch_size valid_batch_bins
        valid_batch_type valid_iterator_type""",
    "the machine": """
        ngpu num_workers max_cache_size max_cache_fd valid_max_cache_size dist_backend
        dist_init_method dist_rank local_rank dist_master_addr dist_master_port dist_launcher
        multiprocessing_distributed cudnn_benchmark cudnn_enabled cudnn_deterministic""",
}
FREE_KEYS = frozenset(" ".join(FREE.values()).split())
# The same for a run that goes on: its method and its tokens matter, its groups are held against
# the earlier ones elsewhere, and ``model_conf`` says of the objective what its own keys say.
FREE_TO_RESUME = FREE_KEYS - {"objective", "objective_conf", "token_list"}


def fingerprint_of(args: argparse.Namespace) -> dict:
    """What two runs must share: ``data``, a hash of the training set, and ``config``, the settings
    that matter.  Of a run before its model is built (which fills ``args`` in)."""
    return {"data": hash_of_data(training_groups(args)), "config": settings_of(vars(args))}


def training_groups(args: argparse.Namespace) -> dict[str, str]:
    """Group id of each training utterance, as text; of those in the shape file if there is one."""
    paths = [
        path for path, name, _ in args.train_data_path_and_name_and_type if name == "group_ids"
    ]
    if not paths:
        raise UserError(
            "The training data has no group_ids. Give the data entry utt2group,group_ids,text_int "
            "(stage 10 writes the file)."
        )
    groups = read_table(paths[0])
    if not args.train_shape_file:
        return groups
    utt_ids = read_table(args.train_shape_file[0])
    lacking = [utt_id for utt_id in utt_ids if utt_id not in groups]
    if lacking:
        raise UserError(
            f"{paths[0]} lacks {len(lacking)} utterances of {args.train_shape_file[0]} (first: "
            f"{lacking[0]}). Run stage 10 again."
        )
    return {utt_id: groups[utt_id] for utt_id in utt_ids}


def hash_of_data(groups: Mapping[str, str]) -> str:
    """SHA-256 of the utterances and their group ids, whatever their order."""
    digest = hashlib.sha256()
    for utt_id in sorted(groups):
        digest.update(f"{utt_id} {groups[utt_id]}\n".encode())
    return digest.hexdigest()


def settings_of(config: Mapping, free: frozenset[str] = FREE_KEYS) -> dict:
    """Settings by dotted name without ``free`` ones and without paths, as JSON gives them back."""
    conf = config.get("objective_conf")  # whose keys of both levels have one name
    config = {**config, "objective_conf": keywords(conf)} if conf else config
    flat: dict[str, object] = {}
    _flatten("", config, flat, free)
    return json.loads(json.dumps(flat, default=str, sort_keys=True))


def _flatten(prefix: str, config: Mapping, flat: dict[str, object], free: frozenset[str]) -> None:
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name in free or (isinstance(value, str) and "/" in value):
            continue
        if isinstance(value, Mapping):
            _flatten(f"{name}.", value, flat, free)
        else:
            flat[name] = value


def changed_settings(before: Mapping, now: Mapping) -> list[str]:
    """``name old -> new`` of each setting that a run which goes on would have otherwise.

    Args:
        before, now: two ``config.yaml``; options that only one of them has are of another version
            and are passed over.
    """
    old, new = (settings_of(config, FREE_TO_RESUME) for config in (before, now))
    names = [name for name in {*old, *new} if name.split(".")[0] in before.keys() & now.keys()]
    return [
        f"{name} {_short(old.get(name))} -> {_short(new.get(name))}"
        for name in sorted(names)
        if old.get(name) != new.get(name)
    ]


def _short(value: object) -> str:
    words = "none" if value is None else str(value)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."


class GroupLossLog:
    """Writes ``group_losses.json``: a row each time that the objective's figures are read.

    A resumed run goes on with the file of the run that was stopped; rows past the checkpoint are
    written anew.
    """

    def __init__(self, path: str | Path, groups: Sequence[str], fingerprint: Mapping) -> None:
        self.path, self.mine = Path(path), {"groups": list(groups), **fingerprint}

    def add(self, step: int, log: Mapping[str, Sequence[float]]) -> None:
        """Write the losses since the row before.

        Args:
            step: batches that the objective has observed (its ``num_batches``).
            log: what ``read_log`` gave: ``loss`` and ``batch_loss`` of G groups in nats, NaN for
                one that was not seen.
        """
        content = self._earlier()
        kept = [row for row, before in enumerate(content["steps"]) if before < step]
        for key in ("steps", "loss", "batch_loss"):
            content[key] = [content[key][row] for row in kept]
        content["steps"].append(step)
        for key in ("loss", "batch_loss"):
            content[key].append([_rounded(value) for value in log[key]])
        with atomic_write(self.path) as stream:
            json.dump(content, stream)
            stream.write("\n")

    def _earlier(self) -> dict:
        """The file's content if it is of this very run, else none."""
        content = _read(self.path) if self.path.exists() else {}
        if all(content.get(key) == value for key, value in self.mine.items()):
            return content
        return {**self.mine, "steps": [], "loss": [], "batch_loss": []}


def read_reference(path: str | Path, fingerprint: Mapping) -> dict:
    """The losses of a reference run, for ``objective_conf.reference``.

    Args:
        path: ``group_losses.json`` of a run, or the run's directory.
        fingerprint: of the run that is to be measured against it.

    Raises:
        UserError: no such file, or another training set or other settings, which are named.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.exists():
        raise UserError(
            f"{path} does not exist. Train the reference first (objective: ctc, same YAML), and "
            "give its group_losses.json as objective_conf.reference."
        )
    content = _read(path)
    if content.get("data") != fingerprint["data"]:
        raise UserError(
            f"{path} is of a run on other training data. Train the reference on this data."
        )
    theirs, ours = content.get("config", {}), fingerprint["config"]
    differing = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if differing:
        words = [f"{key} {theirs.get(key)} there, {ours.get(key)} here" for key in differing[:3]]
        raise UserError(
            f"{path} is of a run with {len(differing)} other settings ({'; '.join(words)}). "
            "Train the reference with this YAML and objective: ctc."
        )
    return {key: content[key] for key in ("groups", "steps", "loss", "batch_loss")}


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}). Train the reference anew.") from None
    return content if isinstance(content, dict) else {}


def _rounded(value: float) -> float | None:
    """JSON has no NaN: a group that was not seen is null."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
