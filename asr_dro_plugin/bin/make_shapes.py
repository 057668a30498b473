"""Stage 10: shape files, group ids and the check that CTC can align, without decoding audio."""

import argparse
import logging

from asr_dro_plugin.base.arguments import boolean, fraction
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.stack.overrides import join_asr_args, overrides_from_arguments
from asr_dro_plugin.text.tokens import TOKEN_TYPES


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--train_dir", required=True, help="filtered training set, for example dump/raw/train")
    add("--valid_dir", required=True, help="filtered validation set")
    add("--tokens", required=True, help="tokens.txt of stage 5")
    add("--token_type", choices=TOKEN_TYPES, default="char", help="kind of token")
    add("--bpemodel", help="bpe.model or tokenizer.json of stage 5")
    add("--nlsyms", help="nlsyms.txt of stage 5 (default: the tags of --tokens)")
    add("--config", required=True, help="training configuration: its stack decides the frames")
    add("--override", action="append", default=[], metavar="KEY=VALUE",
        help="change of the configuration, for example encoder_conf.strides=[2,2]")  # fmt: skip
    add("--asr_args", default="", help="ESPnet options on top of the configuration")
    add("--out_dir", required=True, help="the statistics folder, exp/asr_stats_TAG")
    add("--init_groups", help="groups.txt of the model to continue: its groups are kept")
    add("--extend_groups", type=boolean, default=False, help="whether new groups may join them")
    add("--max_drop", type=fraction, default=0.05, help="largest share of a language to leave out")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Write the statistics folder."""
    args = get_parser().parse_args(join_asr_args(argv))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    from collections import Counter
    from pathlib import Path

    from asr_dro_plugin.base.kaldi_io import read_lines
    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.data.utt_tables import UttTables
    from asr_dro_plugin.preflight import shape_files as shapes
    from asr_dro_plugin.stack.frames import frame_counter
    from asr_dro_plugin.stack.limits import limits_of
    from asr_dro_plugin.text import tokens

    config = load_config(args.config, [*overrides_from_arguments(args.asr_args), *args.override])
    frames = frame_counter(config)
    token_list = tokens.read_tokens(args.tokens)
    nlsyms = read_lines(args.nlsyms) if args.nlsyms else tokens.tags_in(token_list)
    language = (config.get("preprocessor_conf") or {}).get("whisper_language")
    tokenizer = tokens.build_tokenizer(args.token_type, nlsyms, args.bpemodel, language)
    to_ids = tokens.token_ids(tokenizer, token_list)
    sets = {"train": args.train_dir, "valid": args.valid_dir}
    data = {part: UttTables.read(folder, shapes.TABLES) for part, folder in sets.items()}
    categories = Counter(data["train"].tables["utt2category"].values())
    groups = shapes.choose_groups(categories, args.init_groups, args.extend_groups)
    ledgers = {
        part: shapes.write_shapes(
            data[part],
            Path(args.out_dir, part),
            to_ids,
            len(token_list),
            args.token_type,
            groups,
            frames,
            limits_of(config),
        )
        for part in sets
    }
    parts = {part: (data[part], ledgers[part]) for part in sets}
    shapes.conclude(parts, args.out_dir, frames, args.max_drop)
    groups.write(Path(args.out_dir, "groups.txt"))
    logging.info(
        "%s: %d groups, %d tokens, %g ms per frame (%s)", args.out_dir, len(groups),
        len(token_list), 1000 * frames.frame_shift, frames.blame,
    )  # fmt: skip


if __name__ == "__main__":
    run_main(main)
