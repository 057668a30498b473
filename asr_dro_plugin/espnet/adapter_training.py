"""Adapters at the beginning of a training: on which model, and what is said of it."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from asr_dro_plugin.adapter_files import check_base, fingerprint, leaves_out_base
from asr_dro_plugin.adapter_settings import is_adapters
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.adapters import add_adapters, load_base
from asr_dro_plugin.espnet.continuation import Source, initialise_from, read_source
from asr_dro_plugin.ssl_checkpoints import load_plain

logger = logging.getLogger(__name__)
BASE = ("base", "base_sha256")


def begin(
    model: torch.nn.Module, args: argparse.Namespace, path: Path | None, earlier: Mapping
) -> None:
    """Add adapters to the pretrained model, or to what the experiment of ``init_exp`` made of it.

    Which model that is stands in ``args.adapter_conf`` then, if the files are to leave it out.

    Args:
        model: built, with the weights at ``path``.
        path: where these came from; None where nothing was loaded.
        earlier: the configuration of the run that goes on.

    Raises:
        UserError: adapters that this stack cannot have, or a base that nothing names, that is not
            there, or that has changed.
    """
    source, has_adapters = _source(args)
    if source is not None and not has_adapters:
        initialise_from(model, args)
        path = source.model_file
    conf = _with_base(args, path, earlier)
    if conf.get("base") and path in (None, getattr(source, "model_file", None)):
        load_base(model, conf["base"], conf["base_sha256"])
    add_adapters(model, args.adapter, conf)
    args.adapter_conf = conf
    if source is not None and has_adapters:
        _check_source(model, source, path)
        initialise_from(model, args)
    log_counts(model)


def _source(args: argparse.Namespace) -> tuple[Source | None, bool]:
    """What ``init_exp`` names, and whether it has adapters."""
    if not getattr(args, "init_exp", None):
        return None, False
    source = read_source(args.init_exp)
    return source, any(map(is_adapters, load_plain(source.model_file)))


def _check_source(model: torch.nn.Module, source: Source, path: Path | None) -> None:
    """Adapters are continued as they are, on the model that they were trained on, or not at all."""
    own = {name for name in load_plain(source.model_file) if is_adapters(name)}
    if own != set(model.adapters.added):
        raise UserError(
            f"{source.model_file} has other adapters than this configuration makes (for example "
            f"{min(own ^ model.adapters.added)}). Take over adapter and adapter_conf of "
            f"{source.model_file.parent}/config.yaml, or merge them first (asr-dro pack "
            "--merge_adapters true) and continue from that."
        )
    expected = (source.config.get("adapter_conf") or {}).get("base_sha256")
    if path is not None and expected:
        check_base(path, expected, str(source.model_file.parent))


def _with_base(args: argparse.Namespace, path: Path | None, earlier: Mapping) -> dict:
    """``adapter_conf`` with the base that the files go with; without one where they hold all."""
    own = dict(args.adapter_conf or {})
    conf = {key: value for key, value in own.items() if key not in BASE}
    if not leaves_out_base(vars(args)):
        return conf
    inner = (args.frontend_conf or {}).get("frontend_conf") or {}
    before = own if own.get("base") else earlier.get("adapter_conf") or {}
    given = path or inner.get("path_or_url") or before.get("base")
    if not given:
        raise UserError(
            f"save_strategy {args.save_strategy} leaves the pretrained model out of the model "
            "files, but nothing names one. Set ssl_checkpoint, or save_strategy: all."
        )
    expected = before.get("base_sha256")
    base = check_base(given, expected, str(args.output_dir))
    return {**conf, "base": str(base.absolute()), "base_sha256": expected or fingerprint(base)}


def log_counts(model: torch.nn.Module) -> None:
    """How much learns, and how much does not."""
    adapters, numels = model.adapters, {n: p.numel() for n, p in model.named_parameters()}
    of = {key: sum(numels[n] for n in getattr(adapters, key)) for key in ("added", "learning")}
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    logger.info(
        "Adapters (%s): %s of %s parameters learn (%.2f%%): %s in adapters, %s of the pretrained "
        "model, %s elsewhere.", adapters.kind, f"{learning:,}", f"{sum(numels.values()):,}",
        100 * learning / sum(numels.values()), f"{of['added']:,}", f"{of['learning']:,}",
        f"{learning - sum(of.values()):,}",
    )  # fmt: skip
    if adapters.settings.base:
        logger.info(
            "Model files and checkpoints leave out the pretrained model: %s, SHA-256 %s.",
            adapters.settings.base, adapters.settings.base_sha256,
        )  # fmt: skip
