"""Stage 5: the token list of a training text."""

import argparse
import logging

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.text.tokens import TOKEN_TYPES


def get_parser() -> Parser:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--text", required=True, help="filtered training text, for example dump/raw/train/text")
    add("--out_dir", required=True, help="gets tokens.txt, nlsyms.txt and, for bpe, bpe.model")
    add("--token_type", choices=TOKEN_TYPES, default="char", help="kind of token")
    add("--nbpe", type=int, default=500, help="number of pieces for bpe")
    parser.add_switch("--lid", "whether the text begins with language tags", True)
    add("--word_min_count", type=int, default=1, help="rarer words become <unk>")
    add("--ssl_checkpoint", help="the Whisper whose tokens hugging_face takes: a path or org/name")
    add("--config", help="training configuration, whose ssl_checkpoint serves where none is given")
    add("--init_tokens", help="tokens.txt of an older model: its symbols stay, new ones follow")
    return parser


def whisper_folder(args: argparse.Namespace) -> str | None:
    """Where the model lies whose tokens are taken, fetched if need be; None for other tokens."""
    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.stack.ssl_checkpoint import resolve_for

    if args.init_tokens or args.token_type != "hugging_face":
        return None
    config = load_config(args.config) if args.config else {}
    name = args.ssl_checkpoint or config.get("ssl_checkpoint")
    return resolve_for({"encoder": "hf_whisper", "ssl_checkpoint": name}).path if name else None


def report_characters(args: argparse.Namespace) -> None:
    """List the text's characters beside the tokens, and tell those that are stray."""
    from pathlib import Path

    from asr_dro_plugin.base.kaldi_io import read_table
    from asr_dro_plugin.text import characters as vocabulary

    utt2lang = Path(args.text).with_name("utt2lang")
    languages = read_table(utt2lang) if utt2lang.is_file() else {}
    characters = vocabulary.characters_of(read_table(args.text), languages)
    rows = vocabulary.judge(characters, vocabulary.scripts_in("local/languages.tsv"))
    vocabulary.write_characters(Path(args.out_dir, "characters.tsv"), rows)
    for line in vocabulary.remarks(rows, args.text):
        logging.warning("%s. All are in %s/characters.tsv.", line, args.out_dir)


def main(argv: list[str] | None = None) -> None:
    """Write the token list."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    from asr_dro_plugin.base.kaldi_io import read_table
    from asr_dro_plugin.text.tokens import make_token_list

    tokens = make_token_list(
        read_table(args.text), args.out_dir, args.text, args.token_type, args.nbpe, args.lid,
        args.word_min_count, args.init_tokens, whisper_folder(args),
    )  # fmt: skip
    report_characters(args)
    logging.info("%s/tokens.txt: %d tokens (%s)", args.out_dir, len(tokens), args.token_type)


if __name__ == "__main__":
    run_main(main)
