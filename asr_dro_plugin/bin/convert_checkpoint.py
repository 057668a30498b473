"""Rewrite a wav2vec 2.0 checkpoint of fairseq as plain containers, in fairseq's or s3prl's layout.

    asr-dro convert-checkpoint IN OUT [--layout fairseq|s3prl]

Old fairseq files pickle ``argparse.Namespace`` and OmegaConf objects, which PyTorch refuses, and
fairseq and s3prl with it.  Here they are read as data: nothing of the file is run.  The optimiser's
state is left out.
"""

import ast
import os
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.pretrained.plain_pickles import as_plain, load_as_data

LAYOUTS = ("fairseq", "s3prl")
# Of fairseq's old flat arguments, those of the task; the model takes its own from the others.
TASK_KEYS = ("data", "labels", "sample_rate", "normalize", "enable_padding", "max_sample_size",
             "min_sample_size")  # fmt: skip


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro convert-checkpoint", description=__doc__)
    parser.add_argument("source", metavar="IN", type=Path)
    parser.add_argument("target", metavar="OUT", type=Path)
    parser.add_argument("--layout", choices=LAYOUTS, default="fairseq")
    add_overwrite(parser)
    return parser


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
    try:
        cfg = as_plain(state.get("cfg")) or cfg_from_args(as_plain(state["args"]))
    except RecursionError:
        raise UserError("IN nests its settings too deep. Give a fairseq checkpoint.") from None
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
    args = get_parser().parse_args(argv)
    import torch

    if args.target.exists() and os.path.samefile(args.source, args.target):
        raise UserError(f"IN and OUT are both {args.source}. Give another OUT: IN is not touched.")
    if not args.source.is_file():
        raise UserError(f"{args.source} is not a file. Give a fairseq checkpoint (.pt).")
    refuse_earlier([args.target], args.overwrite)
    state = convert(load_as_data(args.source), args.layout)
    with atomic_write(args.target, "wb") as stream:
        torch.save(state, stream)
    print(f"{args.target}: {args.layout} layout. Use it with --ssl_checkpoint {args.target}.")
    return 0


if __name__ == "__main__":
    run_main(main)
