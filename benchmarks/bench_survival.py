"""Runs that are killed again and again, against one that is not: bit for bit the same.

``make bench`` kills 100 times at random moments and 40 times inside the checkpoint writer; the test
suite does a few of each (``tests/espnet/run/test_survival.py``).
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KILLS, IN_WRITER, PER_RUN = 100, 40, 20


def main() -> int:
    """Print, for each way to die, the kills, the lives, and what differs at the end."""
    import torch

    torch.set_num_threads(1)
    from asr_dro_plugin.espnet.task import DROASRTask
    from tests.espnet import runs
    from tests.espnet.conftest import make_dump

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dump = make_dump(root / "dump")
        straight = root / "straight"
        words = runs.command(dump, straight, max_epoch=4, use_matplotlib=False)
        DROASRTask.main(cmd=words)
        failed = 0
        for title, total, more in (
            ("at random moments", KILLS, []),
            ("inside the writer", IN_WRITER, ["--in_writer"]),
        ):
            differences, lives, kills, seed = [], 0, 0, 0
            began = time.perf_counter()
            while kills < total:
                seed += 1
                exp = root / f"{len(more)}_{seed}"
                done = subprocess.run(
                    [sys.executable, "-m", "tests.espnet.survivor", dump, exp, "--epochs", "4",
                     "--kills", str(min(PER_RUN, total - kills)), "--seed", str(seed), *more],
                    capture_output=True, text=True, cwd=ROOT, check=True,
                )  # fmt: skip
                more_lives, more_kills = map(int, done.stdout.split())
                lives, kills = lives + more_lives, kills + more_kills
                differences += runs.same_files(straight, exp)
            failed += len(differences)
            print(
                f"killed {kills} times {title}: {lives} lives, {len(differences)} differences "
                f"from the run never stopped, {time.perf_counter() - began:.0f} s"
            )
            print(*differences[:10], sep="\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
