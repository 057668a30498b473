"""How long a user waits for an answer that needs no training: medians of several runs.

    make bench

The demand is ten seconds for each on two cores; what is printed here says how far below it is.
"""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
LIMIT = 10.0  # seconds
COMMANDS = {
    "./run.sh --help": (["./run.sh", "--help"], 0),
    "./run.sh --dry_run true": (["./run.sh", "--dry_run", "true"], 0),
    "a typo in an option": (["./run.sh", "--asr_confg", "x"], 2),
    "a typo in a YAML key": (["./run.sh", "--asr_config", "{key}"], 1),
    "a typo in a component's name": (["./run.sh", "--asr_config", "{component}"], 1),
}


def write_wrong_configs(folder: Path) -> dict[str, Path]:
    """The default configuration with one mistake each."""
    text = (ROOT / "conf/train_asr_ctc_dro_mini.yaml").read_text(encoding="utf-8")
    wrong = {
        "key": text.replace("grad_clip:", "grad_clp:"),
        "component": text.replace("encoder: conv_ctc", "encoder: conv_ct"),
    }
    for name, content in wrong.items():
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    return {name: folder / f"{name}.yaml" for name in wrong}


def seconds(command: list[str], code: int) -> float:
    """Wall time of one run, whose exit code must be ``code``."""
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return time.perf_counter() - begin


def main() -> None:
    """Print one line a command."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_wrong_configs(Path(folder))
        for name, (words, code) in COMMANDS.items():
            command = [word.format(**paths) for word in words]
            times = [seconds(command, code) for _ in range(RUNS)]
            median = statistics.median(times)
            print(
                f"{name:<32} median {median:5.2f} s of {RUNS} runs "
                f"({min(times):.2f}-{max(times):.2f}), {median / LIMIT:.2f} of the limit"
            )


if __name__ == "__main__":
    main()
