"""Pretrained weights that become the experiment's own: once, when training begins.

Components with ``own_weights`` are built from ``model_config`` with random weights, and have
``load_pretrained(path)``.  Where the experiment's own model file replaces every weight anyway
(decoding, a resumed training) nothing is loaded and no pretrained folder is needed.
"""

import argparse
import logging
from pathlib import Path

import torch

from asr_dro_plugin.espnet.start.checks import earlier_config
from asr_dro_plugin.pretrained.hf_folders import SOURCE
from asr_dro_plugin.stack.components import OWN_SLOTS
from asr_dro_plugin.stack.ssl_checkpoint import holder_of, resolve_for, takes_own_weights
from asr_dro_plugin.stack.use_checkpoint import apply_to_config

INFERRED = ("do_normalize",)  # beside model_config, what a checkpoint says of an encoder
logger = logging.getLogger(__name__)


def apply_ssl_checkpoint(args: argparse.Namespace) -> Path | None:
    """Point the SSL slot of ``args`` at its checkpoint, fetched if need be.

    Returns:
        Where the weights lie that the built model is to load; None where none are to be.
    """
    if not getattr(args, "ssl_checkpoint", None):
        return None
    checkpoint = resolve_for(vars(args))
    for key, value in apply_to_config(vars(args), checkpoint).items():
        setattr(args, key, value)
    args.ssl_checkpoint = None
    slot, _ = holder_of(vars(args))  # statistics are of what leaves the frontend
    is_needed = slot == "frontend" or not getattr(args, "collect_stats", False)
    return checkpoint.path if takes_own_weights(vars(args)) and is_needed else None


def load_pretrained(model: torch.nn.Module, path: Path | None) -> None:
    """Give the parts of a built model that ask for them the weights at ``path``.

    Raises:
        UserError: a missing weight, one of another shape, a damaged file.
    """
    if path is None:
        return
    for slot in OWN_SLOTS:
        part = getattr(model, slot, None)
        if hasattr(part, "load_pretrained"):
            part.load_pretrained(path)
            logger.info("%s: pretrained weights of %s", slot, path)


def keep_own_weights(args: argparse.Namespace) -> None:
    """A resumed training has its weights: it takes ``model_config`` from the experiment.

    Then the pretrained folder may be gone.  Another ``ssl_checkpoint`` than the run began with is
    named in a warning, and not read.
    """
    if not (args.resume and args.ssl_checkpoint and takes_own_weights(vars(args))):
        return
    earlier = earlier_config(Path(args.output_dir))
    holder, _ = holder_of(vars(args))
    if str(earlier.get(holder)).lower() != str(getattr(args, holder)).lower():
        return
    for key in (f"{slot}_conf" for slot in OWN_SLOTS):
        conf, given = earlier.get(key) or {}, getattr(args, key) or {}
        inferred = {name: conf[name] for name in INFERRED if name in conf and name not in given}
        if "model_config" in conf:
            setattr(args, key, {**given, **inferred, "model_config": conf["model_config"]})
    model_config = (earlier.get(f"{holder}_conf") or {}).get("model_config")
    if not model_config:
        return
    if model_config.get(SOURCE) != args.ssl_checkpoint:
        logger.warning(
            "%s began with ssl_checkpoint %s, and goes on with the weights that it has; %s is not "
            "read. Use another --asr_exp for a run that begins with it.",
            args.output_dir, model_config.get(SOURCE), args.ssl_checkpoint,
        )  # fmt: skip
    args.ssl_checkpoint = None
