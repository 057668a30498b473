"""Stage 12: decode a data directory with a trained experiment.

One process decodes one part; a last call with --merge true puts the parts together.  A part that
was killed goes on after its last whole batch when it is started again with the same model,
configuration and data.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.decoding import parts as decode_parts
from asr_dro_plugin.decoding.command_line import (
    Request,
    add_decode_options,
    add_model_options,
    request_of,
    told_request,
)
from asr_dro_plugin.decoding.language import FORCED
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.transcripts.files import FORMATS, parse_formats
from asr_dro_plugin.transcripts.partial import GrowingHypotheses

EPILOG = """Uses:
  asr-dro decode --exp exp/asr_X --config conf/decode_asr_greedy.yaml \\
      --data_dir dump/raw/test_prompts --out_dir out --formats "text srt"
        decode all as one part; it lies in out/parts
  the same with --merge true
        join the parts into out/text and out/srt; the same --formats, for they decide on times
  both with --forced_too true
        out/forced_too/text: the texts with each language given, for asr-dro score --forced

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
    how.add_switch("--forced_too", "decode what is taken for another language again, its own "
                   "(utt2lang) given, into OUT_DIR/forced_too: asr-dro score --forced")  # fmt: skip
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
    told = [Path(args.out_dir, decode_parts.TOLD, "text")] if args.forced_too else []
    refuse_earlier([*written, *told], args.overwrite)
    if args.merge:
        paths = Path(args.data_dir), Path(args.out_dir)
        decode_parts.merge(*paths, args.num_parts, formats, args.strict)
    else:
        decode_part(args, formats)
    return 0


def decode_part(args: argparse.Namespace, formats: Sequence[str]) -> None:
    """Decode what is left of one part."""
    work = Part(args, request_of(args, formats, "--formats"))
    langs = decode_parts.read_langs(work.data_dir, work.request.config.get("lang") == FORCED)
    work.request.check_languages(langs)
    durations = decode_parts.read_durations(work.data_dir)
    utt_ids = decode_parts.part_of(durations, args.part, args.num_parts)
    path = work.decode(work.request, work.out_dir, utt_ids, langs)
    if args.forced_too:
        work.decode_told(path)


class Part:
    """One part of a data directory, and the model, which is loaded once something is to be decoded.

    Args:
        args: the command line.
        request: what it asks for.
    """

    def __init__(self, args: argparse.Namespace, request: Request) -> None:
        self.args, self.request, self._loaded = args, request, None
        self.data_dir, self.out_dir = Path(args.data_dir), Path(args.out_dir)

    def decode(
        self, request: Request, out_dir: Path, utt_ids: Sequence[str], langs: Mapping[str, str]
    ) -> Path:
        """Decode those that have no transcript yet; where the transcripts lie."""
        args, model = self.args, request.model
        path = decode_parts.part_file(out_dir, args.part, args.num_parts)
        source = decode_parts.source_of(
            Path(model.exp), model.file, request.config, self.data_dir, args.lm_dir
        )
        transcripts = GrowingHypotheses(path, source, utt_ids)
        if transcripts.is_whole:
            logging.info("%s is whole already.", path)
            return path
        if transcripts.done:
            logging.info("%s goes on after %d of %d.", path, len(transcripts.done), len(utt_ids))
        loaded = self._load()
        from asr_dro_plugin.espnet.decode.transcribers import decode_rest, told_languages

        if request is not self.request:
            loaded = told_languages(loaded, request)
        durations = decode_parts.read_durations(self.data_dir)
        locations = decode_parts.Locations(self.data_dir, langs)
        decode_rest(loaded, request, transcripts, utt_ids, durations, locations)
        return path

    def decode_told(self, path: Path) -> None:
        """Decode again what the part at ``path`` takes for another language, its own given."""
        request = told_request(self.request)
        if request is None or decode_parts.language_table(self.data_dir) is None:
            logging.info("Nothing is decoded again: no language is named, or none is known.")
            return
        langs = decode_parts.read_langs(self.data_dir, True)
        utt_ids = decode_parts.taken_for_others(path, langs, request.decoder.language.tags)
        logging.info("%d utterances are decoded again with their language given.", len(utt_ids))
        self.decode(request, self.out_dir / decode_parts.TOLD, utt_ids, langs)

    def _load(self):
        """The transcriber of the request."""
        if self._loaded is None:
            model = self.request.model
            decode_parts.warn_of_unknown_groups(self.data_dir, model.experiment)
            with loading(f"{model.exp}/{model.file}"):
                import asr_dro_plugin.espnet  # noqa: F401  registers our classes
                from asr_dro_plugin.espnet.decode.transcribers import load_requested

            self._loaded = load_requested(self.request)
        return self._loaded


if __name__ == "__main__":
    run_main(main)
