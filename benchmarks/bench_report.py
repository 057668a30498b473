"""How long a report takes and how large its page is: 10 experiments of 143 languages.

    PYTHONPATH=. python benchmarks/bench_report.py

The demand is 30 s and 8 MB.  Each experiment has 60 utterances a language, 60 epochs of curves, and
sound for the worst utterances.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.reporting.page.build import collect, page
from asr_dro_plugin.reporting.read.experiment import Experiment, faults_of, open_experiments
from asr_dro_plugin.reporting.results_md import write_results
from tests.reporting.made import make_experiment
from tests.sounds import noise, write_flac

EXPERIMENTS, LANGUAGES, UTTERANCES, EPOCHS, NUM_AUDIO = 10, 143, 60, 60, 12
SECONDS, MEGABYTES = 30.0, 8.0


def make(recipe: Path) -> list[Path]:
    """The experiments, each a little better than the one before, with one sound for all."""
    rng = random.Random(0)
    langs = sorted({"".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=3)) for _ in range(200)})
    found = [
        make_experiment(
            recipe, f"asr_{index}", langs[:LANGUAGES], each=UTTERANCES, epochs=EPOCHS, seed=index,
            factor=1 - 0.03 * index, sets=("test_x",), dump=index == 0,
        )
        for index in range(EXPERIMENTS)
    ]  # fmt: skip
    sound = write_flac(recipe / "noise.flac", noise(8.0))
    wav_scp = recipe / "dump/raw/test_x/wav.scp"
    wav_scp.write_text("".join(f"{utt_id} {sound}\n" for utt_id in read_table(wav_scp)), "utf-8")
    return found


def report(folders: Sequence[Path]) -> tuple[tuple[float, float], str, list[Experiment]]:
    """Seconds for page and RESULTS.md (of the clock, of the processor), and the page."""
    begin = time.perf_counter(), time.process_time()
    experiments = open_experiments(list(folders), None)
    content = page(collect(experiments, num_audio=NUM_AUDIO))
    for experiment in experiments:
        write_results(experiment.path)
    seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
    return seconds, content, experiments


def main() -> None:
    """Print a line a number of experiments."""
    with tempfile.TemporaryDirectory() as folder:
        folders = make(Path(folder))
        for count in (1, 2, EXPERIMENTS):
            (seconds, busy), content, experiments = report(folders[:count])
            if faults := faults_of(experiments):
                raise SystemExit(f"the report has faults: {faults[0]}")
            size = len(content.encode()) / 1e6
            print(
                f"{count:2d} experiments x {LANGUAGES} languages, {content.count('<audio')} sounds"
                f"{seconds:7.1f} s ({seconds / SECONDS:.2f} of the limit; processor {busy:.1f} s), "
                f"{size:.1f} MB ({size / MEGABYTES:.2f} of the limit)"
            )


if __name__ == "__main__":
    main()
