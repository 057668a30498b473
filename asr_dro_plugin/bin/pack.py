"""Stage 14: pack a trained experiment into one file, with a model card, to give it away."""

import logging
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.overwrite import add_overwrite
from asr_dro_plugin.errors import UserError, run_main

EPILOG = """Uses:
  asr-dro pack exp/asr_X --out model.zip --licence cc-by-4.0
  asr-dro pack exp/asr_X --out model.zip --inference_config conf/decode_asr_lm_word.yaml --lm_dir lm
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro pack", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("exp", help="trained experiment, for example exp/asr_...")
    add("--out", required=True, help="the archive to write, for example model.zip")
    add_overwrite(parser)
    inside = parser.add_argument_group("what goes into it")
    add = inside.add_argument
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    add("--inference_config", help="decoding settings to go with it, conf/decode_asr_...yaml")
    add("--inference_tag", help="the decoding whose scores the card shows (default: of the model)")
    add("--lm_dir", help="language models to go with it, as asr-dro lm build makes them")
    add("--licence", "--license", default="unknown", metavar="NAME",
        help="licence of the model, for example cc-by-4.0")  # fmt: skip
    inside.add_switch("--merge_adapters", "add adapters (LoRA) to the weights: a model that needs "
                      "no base")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Pack, and say what to do with it."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    if Path(args.out).suffix != ".zip":
        raise UserError(f"--out {args.out} must end in .zip: the only kind that both loaders read.")
    from asr_dro_plugin.export.pack import PackOptions, pack

    options = PackOptions(
        args.model_file, args.inference_config, args.inference_tag, args.lm_dir, args.licence,
        args.merge_adapters, args.overwrite,
    )  # fmt: skip
    for warning in pack(args.exp, args.out, options):
        logging.warning(warning)
    size = Path(args.out).stat().st_size / 2**20
    print(f"{args.out}: {size:.1f} MiB. Look at it: asr-dro unpack {args.out} --out FOLDER")
    return 0


if __name__ == "__main__":
    run_main(main)
