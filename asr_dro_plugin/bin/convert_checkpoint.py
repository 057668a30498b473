"""Rewrite a wav2vec 2.0 checkpoint of fairseq as plain containers, in fairseq's or s3prl's layout.

    asr-dro convert-checkpoint IN OUT [--layout fairseq|s3prl] [--trust_pickle true]

Old fairseq files pickle ``argparse.Namespace`` and OmegaConf objects; reading these runs code from
the file, which PyTorch refuses.  With ``--trust_pickle true``, on your word that IN comes from
where you think, it is read once and written without objects.  The optimiser's state is left out.
"""

import argparse
import ast
import enum
import os
import pickle
from pathlib import Path

from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.files import atomic_write
from asr_dro_plugin.ssl_checkpoints import load_plain

LAYOUTS = ("fairseq", "s3prl")
# Of fairseq's old flat arguments, those of the task; the model takes its own from the others.
TASK_KEYS = ("data", "labels", "sample_rate", "normalize", "enable_padding", "max_sample_size",
             "min_sample_size")  # fmt: skip


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="asr-dro convert-checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", type=Path)
    parser.add_argument("target", metavar="OUT", type=Path)
    parser.add_argument("--layout", choices=LAYOUTS, default="fairseq")
    parser.add_argument("--trust_pickle", choices=("true", "false"), default="false")
    return parser.parse_args(argv)


def read(path: Path, trust_pickle: bool) -> dict:
    """The checkpoint's content; with ``trust_pickle``, objects and all."""
    if not path.is_file():
        raise UserError(f"{path} is not a file. Give a fairseq checkpoint (.pt).")
    if not trust_pickle:
        return load_plain(path)
    import torch

    from asr_dro_plugin.compat.fairseq import import_fairseq

    try:
        import_fairseq()  # the file may name fairseq's classes; without it most files read as well
    except UserError:
        pass
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(f"{path} pickles objects of a package that is not here: {error}") from error
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise UserError(f"{path} is not a whole PyTorch file. Fetch it again.") from error


def plain(value: object) -> object:
    """``value`` as dicts, lists, tuples, numbers, strings and tensors; other objects are None."""
    import torch

    if type(value).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        value = OmegaConf.to_container(value, resolve=False, enum_to_str=True)
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value) if type(value) in (list, tuple) else None
    if value is None or type(value) in (bool, int, float, str, torch.Tensor):
        return value
    return None


def cfg_from_args(args: dict) -> dict:
    """The sections ``task`` and ``model`` from the flat arguments of fairseq before 0.10."""
    args = {key: value for key, value in args.items() if value is not None}
    if isinstance(args.get("latent_temp"), str):  # "(2, 0.5, 0.999995)" was parsed by the model
        args["latent_temp"] = list(ast.literal_eval(args["latent_temp"]))
    name, arch = args.pop("task", "audio_pretraining"), args.pop("arch", "wav2vec2")
    task = {key: args.pop(key) for key in TASK_KEYS if key in args}
    task["_name"] = "audio_pretraining" if name == "speech_pretraining" else name
    return {"task": task, "model": args | {"_name": arch}}


def convert(state: dict, layout: str) -> dict:
    """A fairseq checkpoint's content as plain containers in ``layout``."""
    if not (
        isinstance(state, dict) and "model" in state and (state.get("cfg") or state.get("args"))
    ):
        raise UserError("IN is no fairseq checkpoint: it lacks model, or both cfg and args.")
    cfg = plain(state.get("cfg")) or cfg_from_args(plain(state["args"]))
    weights = {name: value.detach().clone() for name, value in state["model"].items()}
    if layout == "s3prl":
        return {"task_cfg": cfg["task"], "model_cfg": cfg["model"], "model_weight": weights}
    history = {"criterion_name": "", "optimizer_name": "", "num_updates": 0}
    return {
        "args": None,
        "cfg": cfg,
        "model": weights,
        "optimizer_history": [history | {"lr_scheduler_state": {}}],
        "task_state": {},
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0}},
        "last_optimizer_state": None,
    }


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    import torch

    if args.target.exists() and os.path.samefile(args.source, args.target):
        raise UserError(f"IN and OUT are both {args.source}. Give another OUT: IN is not touched.")
    state = convert(read(args.source, args.trust_pickle == "true"), args.layout)
    with atomic_write(args.target, "wb") as stream:
        torch.save(state, stream)
    print(f"{args.target}: {args.layout} layout. Use it with --ssl_checkpoint {args.target}.")
    return 0


if __name__ == "__main__":
    run_main(main)
