"""Write a trained model in another system's format.

hf: a folder that transformers' Wav2Vec2ForCTC (HubertForCTC, WavLMForCTC) loads, with tokenizer and
feature extractor; for encoders hf_wav2vec2 and fairseq_wav2vec2 with CTC on the last layer.

onnx: a folder with one graph, speech in and log probabilities of CTC out, that runs without torch:
by asr-dro transcribe, onnx-asr, sherpa-onnx and every runtime of ONNX. The graph is compared with
torch before the folder is there.
"""

import logging
import shlex
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser, boolean
from asr_dro_plugin.errors import UserError, run_main

EPILOG = """Uses:
  asr-dro export exp/asr_X --to onnx --out onnx_X
  asr-dro export exp/asr_X --to onnx --out onnx_X --inference_config conf/decode_asr_beam.yaml
  asr-dro export exp/asr_X --to onnx --out onnx_X --int8
  asr-dro export exp/asr_xlsr_hr --to hf --out for_transformers
"""
FORMATS = ("hf", "onnx")
OF_ONNX = ("inference_config", "lm_dir", "licence", "opset", "external_data",
           "int8", "int8_data", "int8_gate")  # fmt: skip


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro export", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("exp", type=Path, help="trained or imported experiment")
    add("--to", required=True, choices=FORMATS, help="the format")
    add("--out", type=Path, required=True, help="the folder to make; it must not be there yet")
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    onnx = parser.add_argument_group("for onnx")
    add = onnx.add_argument
    add("--inference_config", help="how the folder is decoded unless another way is asked for "
        "(default: greedily)")  # fmt: skip
    add("--lm_dir", help="language models to put in")
    add("--licence", help="of the model, for its card (default: unknown)")
    add("--opset", type=int, help="version of ONNX's operators, 17 to 20 (default: 17)")
    onnx.add_switch("--external_data", default=None, help="weights in a file beside the graph "
                    "(default: only where they are larger than 1.5 GB)")  # fmt: skip
    add("--int8", nargs="?", const=True, type=boolean, metavar="true|false", help="make it of "
        "fewer bits too, in several ways; each is measured for size, speed and CER by language, "
        "and the fastest that passes is the folder's default")  # fmt: skip
    add("--int8_data", metavar="FOLDER", help="speech with references to measure on (default: "
        "the validation set of the training)")  # fmt: skip
    add("--int8_gate", metavar="significant|PERCENT", help="what it must not cost: no language "
        "significantly worse, or none by more than so many %% of CER, absolute, at the upper end "
        "of its interval (default: significant)")  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Export, and say what loads it."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    chosen = {key: getattr(args, key) for key in OF_ONNX if getattr(args, key) is not None}
    if args.to == "hf":
        for key in chosen:
            raise UserError(f"--{key} is about --to onnx. Leave it out.")
        return _hf(args)
    if not args.int8 and (args.int8_data or args.int8_gate):
        raise UserError("--int8_data and --int8_gate are about --int8. Give it too, or leave them.")
    from asr_dro_plugin.export.int8.choice import summary_line
    from asr_dro_plugin.export.onnx.folder import OnnxOptions, export_onnx

    made = export_onnx(args.exp, args.out, OnnxOptions(model_file=args.model_file, **chosen))
    parity = made["parity"]
    print(
        f"{args.out}: within {parity['max_abs_diff']:.1e} of torch ({parity['on']}). "
        f"Use it: asr-dro transcribe AUDIO --exp {shlex.quote(str(args.out))}"
    )
    if made["int8"]:
        print(f"{summary_line(made['int8'])} The table is in {args.out / made['card']}.")
    return 0


def _hf(args) -> int:
    from asr_dro_plugin.export.hf import export_hf

    architecture = export_hf(args.exp, args.out, args.model_file)
    print(f"{args.out}: transformers.{architecture}.from_pretrained({str(args.out)!r}) loads it.")
    return 0


if __name__ == "__main__":
    run_main(main)
