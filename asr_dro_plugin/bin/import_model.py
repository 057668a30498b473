"""Make an experiment folder of a model of another system: nothing in it is run, all accounted for.

    asr-dro import --from nemo MODEL.nemo --out exp/asr_golos
    asr-dro import --from hf FOLDER --out exp/asr_xlsr --new_vocab tokens.txt
    asr-dro import --from state_dict MODEL.pth --out exp/asr_ds2 --config conf/... --tokens ...

Kinds: nemo (a .nemo file with a QuartzNet), hf (a folder of Wav2Vec2ForCTC, HubertForCTC,
WavLMForCTC or Whisper), fairseq (a .pt), espnet (a packed .zip or an experiment), ml4audio (the
model directory of its service, with language model and settings), state_dict (tensors by name, for
the stack of --config).  The result is for asr-dro transcribe and decode --exp, asr-dro pack and
export, and ./run.sh --init_exp.
"""

import logging
import shlex
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import UserError, run_main

KINDS = ("nemo", "hf", "fairseq", "espnet", "ml4audio", "state_dict")


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro import", description=__doc__)
    add = parser.add_argument
    add("path", type=Path, help="the model: a file or a folder, by its kind")
    add("--from", dest="kind", required=True, choices=KINDS, help="the system it comes from")
    add("--out", type=Path, required=True, help="the folder to make; it must not be there yet")
    add("--sha256", metavar="HEX", help="refuse a file of weights with another checksum")
    add("--max_gib", type=float, default=32.0, help="refuse archives that unpack to more, GiB")
    add = parser.add_argument_group("other outputs").add_argument
    add("--new_vocab", type=Path, metavar="TOKENS",
        help="a list of tokens, one a line: the output layer is replaced by one for these, and "
        "rows of tokens that both have are kept")  # fmt: skip
    add("--allow_new_head", nargs="?", const="true", choices=("true", "false"), default="false",
        help="let an output layer that is missing or does not fit begin anew")  # fmt: skip
    add = parser.add_argument_group("of one kind").add_argument
    add("--config", type=Path, help="state_dict: YAML of the stack")
    add("--tokens", type=Path, help="state_dict: what the rows of the output layer stand for")
    add("--rename", action="append", default=[], metavar="OLD=NEW",
        help="state_dict: names that begin with OLD begin with NEW here (either may be empty); "
        "may be given several times, the first that fits is applied")  # fmt: skip
    add("--lang", metavar="CODE", help="hf: the language of an MMS model")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Import, and say what became of every tensor."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    rules = [rule.partition("=") for rule in args.rename]
    if wrong := [old for old, sign, _ in rules if not sign]:
        raise UserError(f"--rename {wrong[0]} is not of the form OLD=NEW.")
    from asr_dro_plugin.importing.sources import ImportOptions, import_model

    options = ImportOptions(
        args.new_vocab, args.sha256, args.allow_new_head == "true", args.config, args.tokens,
        tuple((old, new) for old, _, new in rules), args.lang, args.max_gib,
    )  # fmt: skip
    made = import_model(args.kind, args.path, args.out, options)
    print(made.account.table())
    for note in made.notes:
        print(f"{note}.")
    blank = "no CTC" if made.blank_id is None else f"<blank> is number {made.blank_id}"
    print(f"{args.out}: {len(made.tokens)} tokens, {blank}.")
    exp = shlex.quote(str(args.out))
    print(f"Use it: asr-dro transcribe AUDIO --exp {exp}, or ./run.sh --init_exp {exp}")
    return 0


if __name__ == "__main__":
    run_main(main)
