"""Stage 12: decode a data directory with a trained experiment.

One process decodes one part; a last call with --merge true puts the parts together.  A part that
was killed goes on after its last whole batch when it is started again with the same model,
configuration and data (``transcripts/partial.py``).
"""

import argparse
import logging
import sys
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser, boolean
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.decoding import parts as decode_parts
from asr_dro_plugin.decoding.command_line import add_decode_options, check_times, settings_of
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.experiment.model_files import best_model_file
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
    """Options of the command."""
    about = __doc__.replace(" (``transcripts/partial.py``)", "")
    parser = Parser(prog="asr-dro decode", description=about, epilog=EPILOG)
    parser.add_argument("--exp", required=True, help="trained experiment")
    parser.add_argument(
        "--model_file", help="its model file (default: the average by its best_model_criterion)"
    )
    parser.add_argument("--config", required=True, help="inference config (conf/decode_*.yaml)")
    parser.add_argument("--data_dir", required=True, help="dumped data, e.g. dump/raw/test_prompts")
    parser.add_argument("--out_dir", required=True, help="where 'text' and the others are written")
    add_decode_options(parser)
    parser.add_argument(
        "--formats",
        default="text jsonl",
        help=f"what the parts are joined into: {' '.join(FORMATS)} (default: text jsonl)",
    )
    parser.add_argument(
        "--strict", type=boolean, default=False, help="stop at unreadable audio (default: false)"
    )
    parser.add_argument("--part", type=int, default=1, help="which part, from 1")
    parser.add_argument("--num_parts", type=int, default=1, help="how many parts there are")
    parser.add_argument("--merge", type=boolean, default=False, help="join parts (default: false)")
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def decode_part(args: argparse.Namespace, config: dict, device: str) -> None:
    """Decode what is left of one part, batch by batch."""
    data_dir = Path(args.data_dir)
    durations = decode_parts.read_durations(data_dir)
    langs = decode_parts.read_langs(data_dir, config.get("lang") == "forced")
    model_file = args.model_file or best_model_file(args.exp)
    source = decode_parts.source_of(Path(args.exp), model_file, config, data_dir, args.lm_dir)
    path = decode_parts.part_file(args.out_dir, args.part, args.num_parts)
    utt_ids = decode_parts.part_of(durations, args.part, args.num_parts)
    transcripts = GrowingHypotheses(path, source, utt_ids)
    if transcripts.is_whole:
        logging.info("%s is whole already.", path)
        return
    if transcripts.done:
        logging.info("%s goes on after %d of %d.", path, len(transcripts.done), len(utt_ids))
    transcriber = load(args, config, model_file, device)
    locations = decode_parts.read_locations(data_dir, langs)
    decode_rest(transcriber, transcripts, utt_ids, durations, locations, config, args.strict)


def decode_rest(
    transcriber, transcripts: GrowingHypotheses, utt_ids, durations, locations, config, strict
) -> None:
    """Batches that are not on the disk yet.

    They are planned over all utterances, so that a batch's company stays the same after a kill.
    """
    from asr_dro_plugin.audio.read_ahead import batches_of, read_ahead
    from asr_dro_plugin.base.progress import Progress

    batches = batches_of(utt_ids, durations, config["batch_duration"])
    left = [batch for batch in batches if not transcripts.done.issuperset(batch)]
    places = ([locations[utt_id] for utt_id in batch] for batch in left)
    with transcripts, Progress(len(utt_ids), f"decode {locations.path.parent.name}") as bar:
        bar.advance(len(utt_ids) - sum(map(len, left)))
        for batch in read_ahead(places):
            found = transcriber(batch)
            decode_parts.log_faults(found, strict)
            transcripts.add(found)
            bar.advance(len(batch))


def load(args: argparse.Namespace, config: dict, model_file: str, device: str):
    """The experiment as the transcriber of ``config['mode']``."""
    import asr_dro_plugin.espnet  # noqa: F401  registers our classes
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

    transcriber = load_transcriber(args.exp, model_file, device, config, args.lm_dir, args.strict)
    check_times(transcriber, parse_formats(args.formats, "--formats"), "--formats")
    warn_of_unknown_groups(Path(args.data_dir), transcriber.recogniser.groups)
    return transcriber


def warn_of_unknown_groups(data_dir: Path, groups: list[str] | None) -> None:
    """Say which groups of the data the model was never trained on."""
    category = data_dir / "utt2category"
    if groups and category.exists():
        unknown = sorted(set(read_table(category).values()) - set(groups))
        if unknown:
            logging.warning("%s has groups the model never saw: %s", data_dir, " ".join(unknown))


def main(argv: list[str] | None = None) -> int:
    """Decode one part, or merge them."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if not 1 <= args.part <= args.num_parts:
        parser.error(f"--part {args.part} is none of 1 to --num_parts {args.num_parts}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    formats = parse_formats(args.formats, "--formats")
    if args.merge:
        paths = Path(args.data_dir), Path(args.out_dir)
        decode_parts.merge(*paths, args.num_parts, formats, args.strict)
    else:
        device = device_of(args.ngpu)  # before ten seconds of imports
        decode_part(args, settings_of(args, formats), device)
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
