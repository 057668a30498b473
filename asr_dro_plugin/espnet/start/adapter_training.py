"""Adapters at the beginning of a training: on which model, and what is said of it."""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.adapters import add_adapters, load_base
from asr_dro_plugin.espnet.start.continuation import Origin, initialise_from, read_source
from asr_dro_plugin.experiment.adapter_files import check_base, fingerprint, leaves_out_base
from asr_dro_plugin.experiment.config_paths import in_place, pack_root
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.adapter_settings import is_adapters

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
    elif source is not None and not earlier:
        path = path or _base_of(source, model, args)
    conf = _with_base(args, path, earlier)
    if conf.get("base") and path in (None, getattr(source, "model_file", None)):
        load_base(model, conf["base"], conf["base_sha256"])
    add_adapters(model, args.adapter, conf)
    args.adapter_conf = conf
    if source is not None and has_adapters:
        _check_source(model, source, path)
        _refuse_lost_base(model, source, conf)
        initialise_from(model, args)
    log_counts(model)


def _source(args: argparse.Namespace) -> tuple[Origin | None, bool]:
    """What ``init_exp`` names, and whether it has adapters."""
    if not getattr(args, "init_exp", None):
        return None, False
    source = read_source(args.init_exp)
    return source, any(map(is_adapters, load_plain(source.model_file)))


def _base_of(source: Origin, model: torch.nn.Module, args: argparse.Namespace) -> Path | None:
    """Load the base that adapters of ``init_exp`` lie beside, where nothing else was loaded.

    Returns:
        Its path, or that of which s3prl's network was built; None where the source holds all.
    """
    if not leaves_out_base(source.config):
        return None
    built = _of_s3prl(args)
    if built:
        return Path(built)
    root = pack_root(source.model_file.parent)  # whose paths start there
    conf = (in_place(source.config, root) if root else source.config)["adapter_conf"]
    load_base(model, conf["base"], conf.get("base_sha256"))
    return Path(conf["base"])


def _of_s3prl(args: argparse.Namespace) -> str | None:
    """The checkpoint of the frontend ``s3prl``."""
    return ((args.frontend_conf or {}).get("frontend_conf") or {}).get("path_or_url")


def _refuse_lost_base(model: torch.nn.Module, source: Origin, conf: Mapping) -> None:
    """A pretrained model that has learned may not be left out of the files that come.

    Raises:
        UserError: that of ``source``, whose files hold it, is another than their base.
    """
    if not conf.get("base"):
        return
    state, own = load_plain(source.model_file), model.state_dict()
    for name in sorted(model.adapters.still & state.keys()):
        if not torch.equal(state[name].to(own[name]), own[name]):
            raise UserError(
                f"The pretrained model in {source.model_file} has learned ({name} is another in "
                f"{conf['base']}), and the model files of this save_strategy "
                "would leave that out. Set save_strategy: all."
            )


def _check_source(model: torch.nn.Module, source: Origin, path: Path | None) -> None:
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
    before = own if own.get("base") else earlier.get("adapter_conf") or {}
    given = path or _of_s3prl(args) or before.get("base")
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
