"""Write a trained model in another system's format.

    asr-dro export EXP --to hf --out FOLDER

hf: a folder that transformers' Wav2Vec2ForCTC (HubertForCTC, WavLMForCTC) loads, with tokenizer and
feature extractor; for encoders hf_wav2vec2 and fairseq_wav2vec2 with CTC on the last layer.
"""

import logging
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import run_main

FORMATS = ("hf",)


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro export", description=__doc__)
    add = parser.add_argument
    add("exp", type=Path, help="trained or imported experiment")
    add("--to", required=True, choices=FORMATS, help="the format")
    add("--out", type=Path, required=True, help="the folder to make; it must not be there yet")
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Export, and say what loads it."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    from asr_dro_plugin.export.hf import export_hf

    architecture = export_hf(args.exp, args.out, args.model_file)
    print(f"{args.out}: transformers.{architecture}.from_pretrained({str(args.out)!r}) loads it.")
    return 0


if __name__ == "__main__":
    run_main(main)
