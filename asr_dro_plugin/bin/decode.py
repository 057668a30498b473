"""Stage 12: decode a data directory with a trained experiment.

One process decodes one part; a last call with --merge true puts the parts together.  A part that
was killed goes on after its last whole batch when it is started again with the same model,
configuration and data (``hypotheses.py``).
"""

import argparse
import logging
import sys
from pathlib import Path

from asr_dro_plugin import __version__
from asr_dro_plugin.devices import device_of
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.files import sha256_of
from asr_dro_plugin.hypotheses import GrowingHypotheses, check_one_source, remove_parts
from asr_dro_plugin.kaldi_io import read_table, write_table
from asr_dro_plugin.model_files import best_model_file


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exp", required=True, help="trained experiment")
    parser.add_argument(
        "--model_file", help="its model file (default: the average by its best_model_criterion)"
    )
    parser.add_argument("--config", required=True, help="inference config (conf/decode_*.yaml)")
    parser.add_argument("--data_dir", required=True, help="dumped data, e.g. dump/raw/test_prompts")
    parser.add_argument("--out_dir", required=True, help="where 'text' is written")
    parser.add_argument("--part", type=int, default=1, help="which part, from 1")
    parser.add_argument("--num_parts", type=int, default=1, help="how many parts there are")
    parser.add_argument("--merge", choices=["true", "false"], default="false", help="join parts")
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def part_file(out_dir: str, part: int, num_parts: int) -> Path:
    """Hypotheses of one part."""
    return Path(out_dir) / "parts" / f"text.{part}of{num_parts}"


def part_of(durations: dict[str, float], part: int, num_parts: int) -> list[str]:
    """Ids of a part, longest first; every part gets a like share of the long ones."""
    by_length = sorted(durations, key=lambda utt_id: (-durations[utt_id], utt_id))
    return by_length[part - 1 :: num_parts]


def batches_of(utt_ids: list[str], durations: dict[str, float], seconds: float) -> list[list[str]]:
    """Cut ids, sorted by length, into batches whose padded length is at most ``seconds``."""
    batches: list[list[str]] = []
    for utt_id in utt_ids:
        if batches and durations[batches[-1][0]] * (len(batches[-1]) + 1) <= seconds:
            batches[-1].append(utt_id)
        else:
            batches.append([utt_id])
    return batches


def read_durations(data_dir: Path) -> dict[str, float]:
    """Seconds of each utterance, from ``utt2num_samples`` of the dump (16 kHz)."""
    return {
        utt_id: int(samples) / 16000
        for utt_id, samples in read_table(data_dir / "utt2num_samples").items()
    }


def decode_part(args: argparse.Namespace) -> None:
    """Decode what is left of one part, batch by batch."""
    device = device_of(args.ngpu)  # before ten seconds of imports
    import asr_dro_plugin.espnet  # noqa: F401  registers our classes
    from asr_dro_plugin.espnet.inference import read_inference_config, transcribe
    from asr_dro_plugin.progress import Progress

    durations = read_durations(Path(args.data_dir))
    utt_ids = part_of(durations, args.part, args.num_parts)
    scp = read_table(Path(args.data_dir) / "wav.scp")
    config = read_inference_config(args.config)
    path = part_file(args.out_dir, args.part, args.num_parts)
    texts = GrowingHypotheses(path, source_of(args), utt_ids)
    if texts.is_whole:
        logging.info("%s is whole already.", path)
        return
    if texts.done:
        logging.info("%s goes on after %d of %d.", path, len(texts.done), len(utt_ids))
    recogniser = load(args, config, device)
    # Planned over all utterances: a batch's company, which touches its last frames, stays the same.
    batches = batches_of(utt_ids, durations, config.get("batch_duration", 60.0))
    with texts, Progress(len(utt_ids), f"decode {Path(args.data_dir).name}") as bar:
        for batch in batches:
            if not texts.done.issuperset(batch):
                speech = {utt_id: read_speech(scp[utt_id]) for utt_id in batch}
                texts.add(transcribe(recogniser, speech))
            bar.advance(len(batch))


def source_of(args: argparse.Namespace) -> dict[str, str]:
    """What decides the hypotheses, by content; a directory that was moved stays the same.

    Files that the configurations only name (a language model) count by their names.
    """
    from asr_dro_plugin.espnet.inference import find_model_file, read_experiment_config

    exp, data_dir = Path(args.exp), Path(args.data_dir)
    read_experiment_config(exp)
    model_file = find_model_file(exp, args.model_file or best_model_file(exp))
    files = {
        "model": model_file,
        "training configuration": exp / "config.yaml",
        "inference configuration": Path(args.config),
        "wav.scp": data_dir / "wav.scp",
        "utt2num_samples": data_dir / "utt2num_samples",
    }
    return {
        "version of asr-dro": __version__,
        **{name: sha256_of(path) for name, path in files.items()},
    }


def read_speech(location: str):
    """Samples of one utterance at 16 kHz: an ark pointer or a path of ``wav.scp``."""
    from asr_dro_plugin.audio import read, resample

    samples, rate = read(location)
    return resample(samples, rate, 16000)


def load(args: argparse.Namespace, config: dict, device: str):
    """The experiment as the recogniser of ``config['mode']``."""
    from asr_dro_plugin.espnet.inference import BeamSearch, load_recogniser

    model_file = args.model_file or best_model_file(args.exp)
    if config["mode"] == "espnet":
        options = {k: v for k, v in config.items() if k not in ("mode", "batch_duration")}
        return BeamSearch(args.exp, model_file, device, options)
    recogniser = load_recogniser(args.exp, model_file, device)
    warn_of_unknown_groups(Path(args.data_dir), recogniser.groups)
    return recogniser


def warn_of_unknown_groups(data_dir: Path, groups: list[str] | None) -> None:
    """Say which groups of the data the model was never trained on."""
    category = data_dir / "utt2category"
    if groups and category.exists():
        unknown = sorted(set(read_table(category).values()) - set(groups))
        if unknown:
            logging.warning("%s has groups the model never saw: %s", data_dir, " ".join(unknown))


def merge(args: argparse.Namespace) -> None:
    """Join the parts into ``text``, in Kaldi's order, every utterance exactly once."""
    wanted = read_table(Path(args.data_dir) / "utt2num_samples")
    texts: dict[str, str] = {}
    files = [part_file(args.out_dir, n, args.num_parts) for n in range(1, args.num_parts + 1)]
    for file in files:
        texts.update(read_table(file))
    check_one_source(files)
    missing = sorted(set(wanted) - set(texts))
    if missing:
        raise UserError(
            f"{args.out_dir} lacks {len(missing)} of {len(wanted)} hypotheses (first: "
            f"{missing[0]}). Run stage 12 again."
        )
    write_table(Path(args.out_dir) / "text", {utt_id: texts[utt_id] for utt_id in wanted})
    remove_parts(files[0].parent)


def main(argv: list[str] | None = None) -> int:
    """Decode one part, or merge them."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    if args.merge == "true":
        merge(args)
    else:
        decode_part(args)
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
