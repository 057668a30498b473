"""``asr-dro vocab``: the characters of texts, the stray ones told, and a list of tokens of them."""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_other
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.text.normalizers import KINDS, Normalizer, get_normalizer, split_tag

EPILOG = """Uses:
  asr-dro vocab data/train/text --out tokens.txt
  asr-dro vocab corpus.txt.gz --text_norm rus --out tokens.txt
  asr-dro vocab data/train/text --allow "a-zäöüß'" --format hf --out hf_model

Beside the list goes characters.tsv: every character with its count, languages, first utterance and
verdict (kept, stray letter, mark, rare, not allowed).  The last two get no token."""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro vocab", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("text", nargs="+", metavar="TEXT", help="Kaldi's text or plain lines, gzip or not")
    parser.add_switch("--kaldi", "whether an id begins each line (default: true for files named "
                      "text)", None)  # fmt: skip
    add("--groups", metavar="UTT2LANG", help="languages (default: the tags, else utt2lang beside)")
    add("--languages", default="local/languages.tsv", help="their scripts")
    output = parser.add_argument_group("what is written")
    output.add_argument("--out", required=True, help="tokens.txt; with --format hf a folder")
    output.add_argument("--format", choices=["espnet", "hf"], default="espnet",
        help="tokens.txt, or for hf the files of a Wav2Vec2CTCTokenizer")  # fmt: skip
    add_overwrite(output)
    add = parser.add_argument_group("what gets a token").add_argument
    add("--allow", metavar="CHARS|FILE",
        help='only these get a token: a set, "a-z\'", or a file of them, tokens.txt')  # fmt: skip
    add("--min_count", type=int, default=1, help="rarer characters get no token")
    add("--text_norm", default="none", help=f"done to the text first: {KINDS}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Count, write, report."""
    args = get_parser().parse_args(argv)
    from asr_dro_plugin.text import characters as vocabulary

    if args.min_count < 1:
        raise UserError(f"--min_count is {args.min_count}. It must be at least 1.")
    normalize = get_normalizer(args.text_norm)
    allow = allowed(args.allow) if args.allow else None
    found = counted(args, normalize)
    if allow is None:
        allow = _alphabet(normalize, found.characters.counts)
    scripts = vocabulary.scripts_in(args.languages)
    rows = vocabulary.judge(found.characters, scripts, allow, args.min_count)
    tokens = token_list(rows, sorted(found.tags))
    folder = write(args, tokens, sorted(found.tags))
    vocabulary.write_characters(folder / "characters.tsv", rows)
    num_utts = found.characters.num_utts
    if args.text_norm != "none":
        left = f" and leaves nothing of {found.emptied:,}" if found.emptied else ""
        print(f"{args.text_norm}: changes {found.changed:,} of {num_utts:,} lines{left}")
    for line in vocabulary.remarks(rows, " ".join(args.text)):
        print(f"WARNING: {line}")
    unknown = sum(row.count for row in rows if row.verdict in vocabulary.LEFT_OUT)
    print(
        f"{args.out}: {len(tokens)} tokens of {num_utts:,} lines and "
        f"{sum(found.characters.total.values()):,} characters ({unknown:,} of them unknown); "
        f"all in {folder / 'characters.tsv'}"
    )
    return 0


def counted(args: argparse.Namespace, normalize: Normalizer) -> SimpleNamespace:
    """The characters of the texts, their tags, how many lines were changed and emptied."""
    from asr_dro_plugin.text.characters import Characters

    found = SimpleNamespace(characters=Characters(), tags=set(), changed=0, emptied=0)
    for utt_id, lang, tag, text in lines_of(args):
        normal = normalize(text, lang)
        found.changed += normal != text
        found.emptied += bool(text and not normal)
        found.characters.add(normal, lang, utt_id)
        found.tags.update([f"[{tag}]"] if tag else [])
    if found.characters.first:
        return found
    if found.emptied:
        raise UserError(
            f"--text_norm {args.text_norm} leaves nothing of {found.emptied:,} lines "
            f"(first: {args.text[0]}). It is for another alphabet: give another, or mend its keep."
        )
    raise UserError(f"{args.text[0]} holds no text. Give the training text.")


def lines_of(args: argparse.Namespace) -> Iterator[tuple[str, str, str | None, str]]:
    """(utterance, language or '', tag or None, text without it) of each line."""
    from asr_dro_plugin.base.kaldi_io import read_table
    from asr_dro_plugin.lm.files import read_text

    for path in args.text:
        is_kaldi = args.kaldi if args.kaldi is not None else Path(path).name == "text"
        beside = Path(path).parent / "utt2lang"
        groups = args.groups or (beside if is_kaldi and beside.is_file() else None)
        languages: Mapping[str, str] = read_table(groups) if groups else {}
        for number, line in enumerate(read_text(path), 1):
            utt_id, rest = f"{path}:{number}", line.strip()
            if is_kaldi:
                utt_id, _, rest = rest.replace("\t", " ").partition(" ")
            tag, text = split_tag(" ".join(rest.split()))
            if utt_id:
                yield utt_id, tag or languages.get(utt_id, ""), tag, text


def allowed(given: str) -> frozenset[str]:
    """The characters of a set, or of a file with one token or several characters a line."""
    from asr_dro_plugin.base.kaldi_io import read_lines
    from asr_dro_plugin.text.casing import is_special
    from asr_dro_plugin.text.steps import character_set
    from asr_dro_plugin.text.tokens import characters_of_tokens

    if Path(given).is_file():
        lines = [line for line in read_lines(given) if not is_special(line)]
        return frozenset(characters_of_tokens(lines))
    if "/" in given:
        raise UserError(f"--allow {given} does not exist. Give a file, or the characters.")
    return character_set(given, "--allow")


def _alphabet(normalize: Normalizer, langs: Mapping[str, object]) -> frozenset[str] | None:
    """The alphabet that the normaliser keeps, where it has one for every language."""
    rule = getattr(normalize, "rule", None)
    found = [rule(lang).alphabet for lang in langs] if rule else [None]
    return None if None in found else frozenset().union(*found)


def token_list(rows: Sequence, tags: Sequence[str]) -> list[str]:
    """Specials, tags, the characters by frequency with the space as one token."""
    from asr_dro_plugin.text.characters import symbols_kept
    from asr_dro_plugin.text.tokens import SPACE, by_frequency, make_list

    kept = set(symbols_kept(rows))
    counts = Counter({row.char: row.count for row in rows if row.char in kept})
    counts[SPACE] = sum(row.count for row in rows if row.char == " ")
    return make_list(tags, by_frequency(+counts))


def write(args: argparse.Namespace, tokens: Sequence[str], tags: Sequence[str]) -> Path:
    """Write the list in its format; the folder it is in."""
    from asr_dro_plugin.base.files import atomic_write

    out = Path(args.out)
    if args.format == "hf":
        from asr_dro_plugin.pretrained.hf_vocabulary import tokenizer_files

        folder = out.parent if out.suffix == ".json" else out
        files = tokenizer_files(tokens)
    else:
        folder = out.parent
        files = {out.name: "".join(f"{token}\n" for token in tokens).encode()}
        if tags:
            files["nlsyms.txt"] = "".join(f"{tag}\n" for tag in tags).encode()
    for name, content in files.items():
        refuse_other(folder / name, content, args.overwrite)
    for name, content in files.items():
        with atomic_write(folder / name, "wb") as stream:
            stream.write(content)
    return folder


if __name__ == "__main__":
    run_main(main)
