"""Learn a few utterances by heart: whether a configuration's stack can learn at all.

The options are those of asr-dro train (stage 11), with the same meaning; model, objective and
optimizer are built as training builds them.  A few utterances of one planned batch (the first that
has so many) are trained on until greedy decoding makes no error in them, without SpecAugment,
dropout, masking, weight decay and schedule.  No experiment is touched.
"""

import argparse
import os
import sys
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.bin.train import ngpu_of
from asr_dro_plugin.errors import UserError, run_main

EPILOG = """Uses:
  ./run.sh --onebatchtest true
        the configuration and the data of the recipe
  asr-dro onebatchtest --config conf/train_asr_X.yaml [options of asr-dro train] --num_utts 2
        the same by hand; see exp/asr_X/run.sh for the options

Exit code: 0 WER 0 was reached, 1 it was not (or bad input), 2 a wrong option, 130 interrupted.
"""

# The training's options that name files, which are looked for before anything is loaded.
FILES = ("--token_list", "--groups", "--train_shape_file", "--train_data_path_and_name_and_type")


def get_parser() -> Parser:
    """The test's own options; all others are handed on to the training's parser."""
    parser = Parser(prog="asr-dro onebatchtest", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--config", required=True, help="training configuration")
    add("--output_dir", help="where onebatchtest.json and onebatchtest.png go (default: "
        "exp/onebatchtest_CONFIG)")  # fmt: skip
    add("--num_utts", help="utterances, the shortest of the planned batch (default: 4)")
    add("--max_updates", help="give up after so many updates (default: 1000)")
    add("--max_seconds", help="give up after so many seconds (default: 600)")
    add("--learning_rate", help="constant; it is lowered where the loss grows or stays "
        "(default: the schedule's max_lr, else the optimizer's)")  # fmt: skip
    for name in FILES:
        add(name, action="append", default=[], help=argparse.SUPPRESS)
    return parser


def refuse_missing(args: argparse.Namespace) -> None:
    """Files that are not there, or not given, are told at once.

    Raises:
        UserError: the first of them.
    """
    if not Path(args.config).is_file():
        raise UserError(
            f"--config {args.config} does not exist. Give one of conf/train_asr_*.yaml."
        )
    config = load_config(args.config)  # that of an experiment names data and tokens itself
    if not all(
        getattr(args, key) or config.get(key)
        for key in ("token_list", "train_data_path_and_name_and_type")
    ):
        raise UserError(
            "The options of asr-dro train are needed too: --token_list, --train_shape_file and "
            "--train_data_path_and_name_and_type. Try ./run.sh --onebatchtest true."
        )
    for name in FILES:
        for given in getattr(args, name.removeprefix("--")):
            path = given.split(",")[0]
            if not Path(path).exists():
                raise UserError(f"{name} {path} does not exist. Run the stages before 11 first.")


def main(argv: list[str] | None = None) -> int:
    """Run ``OneBatchTask`` as ``bin.train`` runs ``DROASRTask``."""
    argv = sys.argv[1:] if argv is None else list(argv)
    args, _ = get_parser().parse_known_args(argv)
    refuse_missing(args)
    device_of(ngpu_of(argv))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with loading("the stack"):
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.onebatch.one_batch_test import OneBatchTask

    if "--log_level" not in argv:
        argv += ["--log_level", "WARNING"]
    OneBatchTask.main(cmd=argv)
    return 0


if __name__ == "__main__":
    run_main(main)
