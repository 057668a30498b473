"""``asr-dro preflight``: figures by language before training, and refusal of what cannot work.

Takes the options of stage 10 and the test sets; reads tables only.  Exit code 1 where something
cannot work, a line each; what is only odd is a warning.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.base.arguments import boolean, fraction
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.stack.overrides import join_asr_args, overrides_from_arguments
from asr_dro_plugin.text.tokens import TOKEN_TYPES


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="asr-dro preflight", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--config", required=True, help="training configuration: its stack decides the frames")
    add("--train_dir", required=True, help="filtered training set, for example dump/raw/train")
    add("--valid_dir", required=True, help="filtered validation set")
    add("--test_dirs", nargs="*", default=[], help="filtered test sets; one that is not made yet "
        "is passed over")  # fmt: skip
    add("--tokens", required=True, help="tokens.txt of stage 5, or a given one")
    add("--token_type", choices=TOKEN_TYPES, default="char", help="kind of token (default: char)")
    add("--bpemodel", help="bpe.model or tokenizer.json of stage 5")
    add("--nlsyms", help="nlsyms.txt of stage 5 (default: the tags of --tokens)")
    add("--override", action="append", default=[], metavar="KEY=VALUE",
        help="change of the configuration")  # fmt: skip
    add("--asr_args", default="", help="ESPnet options on top of the configuration")
    add("--out_dir", help="gets preflight.txt and preflight.json, for example exp/asr_stats_TAG")
    add("--init_exp", help="experiment to continue from: its tokens must be kept")
    add("--init_groups", help="stage 10's; not needed here")
    add("--extend_groups", type=boolean, default=False, help="whether tokens may be added to it")
    add("--max_drop", type=fraction, default=0.05,
        help="largest share of a language that may be unalignable (default: 0.05)")  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, judge, print, write; 1 where training cannot work."""
    args = get_parser().parse_args(join_asr_args(argv))
    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.preflight import report as report
    from asr_dro_plugin.preflight.measure import Ruler
    from asr_dro_plugin.stack.check import check_config
    from asr_dro_plugin.stack.frames import frame_counter
    from asr_dro_plugin.stack.limits import limits_of

    overrides = [*overrides_from_arguments(args.asr_args), *args.override]
    config = load_config(args.config, overrides)
    check_config(config, args.config)
    counter = frame_counter(config)
    tokens, to_ids = _tokens(args, config)
    ruler = Ruler(to_ids, tokens, counter, limits_of(config))
    train = _read(args.train_dir)
    sets = [ruler.measure(train, "train")]
    seen, notes = sets[0].characters, []
    sets.append(ruler.measure(_read(args.valid_dir), "valid", seen))
    for folder in args.test_dirs:
        if Path(folder, "text").exists():
            sets.append(ruler.measure(_read(folder), "test", seen))
        else:
            notes.append(f"{folder} is not made yet: not looked at. Run stages 3 and 4.")
    refused = [*_continued(args, tokens), *report.problems(sets, ruler, args.max_drop)]
    notes += report.warnings(sets, ruler)
    longest = _longest(config, counter, train, sets[0].usable)
    lines = [f"Preflight of {args.config}", "", *report.table(sets), "", *longest["lines"]]
    lines += [*(f"WARNING: {note}" for note in notes), *(f"ERROR: {line}" for line in refused)]
    if args.out_dir:
        found = {
            "config": args.config, "frame_shift": counter.frame_shift, "tokens": len(tokens),
            "exact": counter.exact, "sets": report.as_dict(sets),
            "longest_batch": longest["batch"], "warnings": notes, "errors": refused,
        }  # fmt: skip
        _write(Path(args.out_dir), lines, found)
    print("\n".join(line for line in lines if not line.startswith("ERROR: ")), flush=True)
    for line in refused:
        print(f"ERROR: {line}", file=sys.stderr)
    return 1 if refused else 0


def _tokens(args: argparse.Namespace, config: Mapping):
    """The list, and text -> ids as training has them."""
    from asr_dro_plugin.base.kaldi_io import read_lines
    from asr_dro_plugin.text import tokens

    listed = tokens.read_tokens(args.tokens)
    nlsyms = read_lines(args.nlsyms) if args.nlsyms else tokens.tags_in(listed)
    language = (config.get("preprocessor_conf") or {}).get("whisper_language")
    tokenizer = tokens.build_tokenizer(args.token_type, nlsyms, args.bpemodel, language)
    return listed, tokens.token_ids(tokenizer, listed)


def _read(folder: str):
    from asr_dro_plugin.data.utt_tables import UttTables
    from asr_dro_plugin.preflight.shape_files import TABLES

    return UttTables.read(folder, TABLES)


def _continued(args: argparse.Namespace, tokens: Sequence[str]) -> list[str]:
    """Whether the tokens are those of the model that is continued."""
    if not args.init_exp:
        return []
    path = Path(args.init_exp)
    old_list = (path.parent if path.is_file() else path) / "tokens.txt"
    if not old_list.is_file():
        return []  # an experiment of ESPnet's own; training compares it with its config.yaml
    from asr_dro_plugin.text.tokens import read_symbols

    old = read_symbols(old_list)
    lost, new = set(old) - set(tokens), set(tokens) - set(old)
    if lost:
        return [
            f"{args.tokens} lacks {len(lost)} tokens of {old_list} (first: {min(lost)}), so the "
            "head of the old model does not fit. Make the list with --init_exp (stage 5)."
        ]
    if new and not args.extend_groups:
        return [
            f"{args.tokens} has {len(new)} tokens that {old_list} lacks (first: {min(new)}). "
            "Give --extend_groups true if that is meant."
        ]
    return []


def _longest(config: Mapping, counter, train, usable: Mapping[str, int]) -> dict:
    """The longest batch that training takes, as lines and as figures."""
    from dataclasses import asdict

    from asr_dro_plugin.groups import GroupMap
    from asr_dro_plugin.preflight.first_epoch import longest_batch
    from asr_dro_plugin.stack.table import describe_frame_shift

    lines = [f"frame shift: {describe_frame_shift(counter)}"]
    if not usable:
        return {"lines": lines, "batch": None}
    categories = train.tables["utt2category"]
    groups = GroupMap(categories[utt_id] for utt_id in usable)
    ids = [groups.id_of(categories[utt_id]) for utt_id in usable]
    found = longest_batch(config, counter, list(usable), list(usable.values()), ids)
    what = f"batch: {found.num_utterances} utterances" if found.is_planned else "utterance"
    lines.append(
        f"longest {what}, {found.seconds:.1f} s and {found.frames:,} frames with padding "
        f"(longest: {found.first}, {found.longest_seconds:.1f} s)"
    )
    if found.plan:
        lines.append(f"epoch 1: {found.plan}")
    return {"lines": lines, "batch": asdict(found)}


def _write(folder: Path, lines: Sequence[str], found: Mapping) -> None:
    from asr_dro_plugin.base.files import atomic_write

    with atomic_write(folder / "preflight.txt") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    with atomic_write(folder / "preflight.json") as stream:
        json.dump(found, stream, indent=1, ensure_ascii=False)
        stream.write("\n")


if __name__ == "__main__":
    run_main(main)
