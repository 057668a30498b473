"""Stage 12: decode a data directory with a trained experiment.

One process decodes one part; a last call with --merge true puts the parts together.  A part that
was killed goes on after its last whole batch when it is started again with the same model,
configuration and data.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.decoding import parts as decode_parts
from asr_dro_plugin.decoding.command_line import add_decode_options, add_model_options, request_of
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.transcripts.files import FORMATS, parse_formats
from asr_dro_plugin.transcripts.partial import GrowingHypotheses

EPILOG = """Uses:
  asr-dro decode --exp exp/asr_X --config conf/decode_asr_greedy.yaml \\
      --data_dir dump/raw/test_prompts --out_dir out --formats "text srt"
        decode all as one part; it lies in out/parts
  the same with --merge true
        join the parts into out/text and out/srt; the same --formats, for they decide on times

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 (of --merge) done but for utterances that
out/left_out.tsv lists.
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro decode", description=__doc__, epilog=EPILOG)
    add_model_options(parser.add_argument_group("the model"))
    add = parser.add_argument_group("data").add_argument
    add("--data_dir", required=True, help="dumped data, e.g. dump/raw/test_prompts")
    add("--out_dir", required=True, help="where 'text' and the others are written")
    add("--formats", default="text jsonl", help=f"what the parts are joined into: "
        f"{' '.join(FORMATS)}")  # fmt: skip
    add_overwrite(parser)
    how = parser.add_argument_group("how is decoded")
    how.add_argument("--config", required=True, help="inference config (conf/decode_*.yaml)")
    add_decode_options(how)
    how.add_switch("--strict", "stop at unreadable audio")
    parts = parser.add_argument_group("parts, a process each")
    add = parts.add_argument
    add("--part", type=int, default=1, help="which part, from 1")
    add("--num_parts", type=int, default=1, help="how many parts there are")
    parts.add_switch("--merge", "join parts")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Decode one part, or merge them."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if not 1 <= args.part <= args.num_parts:
        parser.error(f"--part {args.part} is none of 1 to --num_parts {args.num_parts}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    formats = parse_formats(args.formats, "--formats")
    written = decode_parts.written_files(Path(args.data_dir), Path(args.out_dir), formats)
    refuse_earlier(written, args.overwrite)
    if args.merge:
        paths = Path(args.data_dir), Path(args.out_dir)
        decode_parts.merge(*paths, args.num_parts, formats, args.strict)
    else:
        decode_part(args, formats)
    return 0


def decode_part(args: argparse.Namespace, formats: Sequence[str]) -> None:
    """Decode what is left of one part."""
    request, data_dir = request_of(args, formats, "--formats"), Path(args.data_dir)
    durations = decode_parts.read_durations(data_dir)
    langs = decode_parts.read_langs(data_dir, request.config.get("lang") == "forced")
    request.check_languages(langs)
    path = decode_parts.part_file(args.out_dir, args.part, args.num_parts)
    utt_ids = decode_parts.part_of(durations, args.part, args.num_parts)
    model = request.model
    source = decode_parts.source_of(
        Path(model.exp), model.file, request.config, data_dir, args.lm_dir
    )
    transcripts = GrowingHypotheses(path, source, utt_ids)
    if transcripts.is_whole:
        logging.info("%s is whole already.", path)
        return
    if transcripts.done:
        logging.info("%s goes on after %d of %d.", path, len(transcripts.done), len(utt_ids))
    decode_parts.warn_of_unknown_groups(data_dir, request.model.experiment)
    with loading(f"{request.model.exp}/{request.model.file}"):
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.decode.transcribers import decode_rest

    locations = decode_parts.Locations(data_dir, langs)
    decode_rest(request, transcripts, utt_ids, durations, locations)


if __name__ == "__main__":
    run_main(main)
