"""Stage 5 with --aux_text: the texts of training and dev set as phonemes or in Latin letters.

--out_dir gets SET/text_aux for each set, units parted by spaces, and tokens_aux.txt, the units of
the training set.  Stage 10 turns them into the numbers that training reads.
"""

import logging
from collections.abc import Sequence

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.text.auxiliary import KINDS

EPILOG = """Example:
  python3 -m asr_dro_plugin.bin.stages.aux_text --aux_text phonemes --train_dir dump/raw/train_X \\
      --valid_dir dump/raw/dev_X --out_dir data/train_X_token_list/phonemes
"""


def get_parser() -> Parser:
    parser = Parser(description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--aux_text", required=True, choices=KINDS, help="what the texts become")
    add("--train_dir", required=True, help="filtered training set, for example dump/raw/train")
    add("--valid_dir", required=True, help="filtered validation set")
    add("--out_dir", required=True, help="gets SET/text_aux and tokens_aux.txt")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Convert both sets."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    from asr_dro_plugin.text.auxiliary.convert import tool_of
    from asr_dro_plugin.text.auxiliary.files import make_aux_texts

    tokens = make_aux_texts(args.aux_text, args.train_dir, [args.valid_dir], args.out_dir)
    told = "%s/tokens_aux.txt: %d units (%s by %s)"
    logging.info(told, args.out_dir, len(tokens), args.aux_text, tool_of(args.aux_text))


if __name__ == "__main__":
    run_main(main)
