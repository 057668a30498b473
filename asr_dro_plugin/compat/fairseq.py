"""fairseq: the one place that knows what it takes to import it and to load its checkpoints.

Import fairseq through ``import_fairseq`` before ESPnet's encoder does, and pass the encoder
to ``finish_encoder`` afterwards.  The two

- put the root logger back: fairseq calls ``logging.basicConfig`` and sets the level to DEBUG;
- keep masking off a batch so short that a whole utterance could be masked, which is an error;
- for fairseq's own last release, 0.12.2, make its config dataclasses hashable (Python 3.11 refuses
  them as defaults otherwise) and let its tasks drop keys of a checkpoint that they do not know
  (``ConfigKeyError: Key 'multiple_train_files' not in 'AudioPretrainingConfig'`` otherwise).

With fairseq-fixed 0.12.3.1, which the extra ``fairseq`` installs, the two cures do nothing: it does
both itself.  ``report_dropped_keys`` says which keys a checkpoint loses that way.
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
import logging
import os
from collections.abc import Iterator, Mapping
from types import ModuleType

from asr_dro_plugin.errors import UserError, how_to_install
from asr_dro_plugin.pretrained.read_weights import load_plain

logger = logging.getLogger(__name__)


def import_fairseq() -> ModuleType:
    """The module ``fairseq``, put right; a ``UserError`` where it is not installed."""
    # Its continuation, fairseq-fixed, owns the same module.
    upstream = fairseq_version().startswith("fairseq ")
    try:
        with kept_root_logger(), _hashable_configs() if upstream else contextlib.nullcontext():
            import fairseq
            import fairseq.checkpoint_utils
            import fairseq.models.wav2vec.wav2vec2
            import fairseq.tasks
    except ModuleNotFoundError as error:
        raise UserError(
            f"encoder wav2vec2 needs fairseq, but Python has no module {error.name}. Use "
            f"frontend s3prl instead, or install it: {how_to_install('fairseq')}"
        ) from error
    if upstream:
        _drop_unknown_keys_in_tasks(fairseq.tasks)
    return fairseq


def fairseq_version() -> str:
    """The installed distribution and version, or ``none``."""
    for name in ("fairseq", "fairseq-fixed"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return "none"


@contextlib.contextmanager
def kept_root_logger() -> Iterator[None]:
    """Restore the root logger's handlers, their formats and its level after the block."""
    root = logging.getLogger()
    level, handlers = root.level, [(handler, handler.formatter) for handler in root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in [handler for handler in root.handlers if handler not in dict(handlers)]:
            root.removeHandler(handler)
        for handler, formatter in handlers:
            if handler not in root.handlers:
                root.addHandler(handler)
            handler.setFormatter(formatter)


@contextlib.contextmanager
def _hashable_configs() -> Iterator[None]:
    """While fairseq is imported, its dataclasses (and no others) get ``unsafe_hash=True``.

    Not every module's: torch's own dataclasses define ``__hash__`` and would raise.
    """
    original = dataclasses.dataclass

    @functools.wraps(original)
    def dataclass(cls=None, /, **options):
        def decorate(cls):
            ours = cls.__module__.split(".")[0] == "fairseq" and "__hash__" not in vars(cls)
            return original(cls, **({"unsafe_hash": True} | options if ours else options))

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _drop_unknown_keys_in_tasks(tasks: ModuleType) -> None:
    """Make ``fairseq.tasks.setup_task`` drop keys that the task's dataclass lacks; once."""
    merge = tasks.merge_with_parent
    if not hasattr(merge, "__wrapped__"):
        dropping = functools.partial(merge, remove_missing=True)
        tasks.merge_with_parent = functools.wraps(merge)(dropping)


def unknown_keys(state: Mapping) -> dict[str, list[str]]:
    """Keys of the checkpoint's task and model sections that the installed fairseq does not know.

    Args:
        state: a fairseq checkpoint's content, ``cfg`` being plain containers.
    """
    fairseq = import_fairseq()
    registries = {
        "task": fairseq.tasks.TASK_DATACLASS_REGISTRY,
        "model": fairseq.models.MODEL_DATACLASS_REGISTRY,
    }
    found = {}
    for section, registry in registries.items():
        given = (state.get("cfg") or {}).get(section) or {}
        known = registry.get(given.get("_name"))
        if known is not None:
            names = {field.name for field in dataclasses.fields(known)}
            found[section] = sorted(set(given) - names)
    return {section: keys for section, keys in found.items() if keys}


@functools.cache
def report_dropped_keys(path: str | os.PathLike) -> dict[str, list[str]]:
    """``unknown_keys`` of the file ``path``, logged the first time it is asked for."""
    found = unknown_keys(load_plain(path))
    for section, keys in found.items():
        logger.warning(
            "%s: its %s section has keys that %s does not know; dropped: %s",
            path, section, fairseq_version(), ", ".join(keys),
        )  # fmt: skip
    return found


def prepare_encoder(encoder_conf: Mapping) -> None:
    """Call before ESPnet's ``FairSeqWav2Vec2Encoder(**encoder_conf)`` is built.

    Imports fairseq properly, refuses a checkpoint that is damaged or pickles objects, and reports
    the keys that loading drops.  Does nothing for a checkpoint that is still to be downloaded.
    """
    import_fairseq()
    url, folder = encoder_conf.get("w2v_url", ""), encoder_conf.get("w2v_dir_path", "./")
    path = os.path.join(folder, url.split("/")[-1])
    if os.path.isfile(path):
        report_dropped_keys(path)


def finish_encoder(encoder) -> None:
    """Call after ESPnet's ``FairSeqWav2Vec2Encoder`` is built; twice the same as once."""
    model = encoder.encoders
    if not getattr(model, "_asr_dro_finished", False):
        model.register_forward_pre_hook(_without_mask_if_short, with_kwargs=True)
        model._asr_dro_finished = True


def _without_mask_if_short(model, args, kwargs):
    """Turn ``mask`` off where random spans could cover all frames of the shortest utterance.

    Spans of L frames, at least two and p T / L + 1 at most: a hidden frame of T is certain for
    T > max(2 L, L / (1 - p)), which is 0.6 s for the published p = 0.65, L = 10.
    """
    padding = args[1] if len(args) > 1 else kwargs.get("padding_mask")
    if kwargs.get("mask") and padding is not None:
        num_frames = model._get_feat_extract_output_lengths((~padding).sum(1).min())
        longest = max(2, 1 / (1 - min(model.mask_prob, 0.99))) * model.mask_length
        kwargs = kwargs | {"mask": bool(num_frames > longest)}
    return args, kwargs
