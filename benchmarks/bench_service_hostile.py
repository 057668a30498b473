"""Ten thousand uploads that are meant badly, against a live service: no 5xx, no crash, no growth.

Mutants of every container that is read, bombs, and file names that would lead elsewhere, each over
HTTP on 127.0.0.1.  With a MODEL its workers transcribe what can be read; without one they count
samples (``tests/serving/stand_in.py``), which tests the same decoding.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTANTS, NAMES, AT_ONCE = 10_000, 1000, 16
PIECES = (
    "..", "/", "\\", "etc", "passwd", "C:", "~", "$HOME", "`id`", "|", ";", "%2e%2e", "%00", "\t",
    "a.wav", ".", "é", "\u202e", "👾", "-rf", "--", "'", "*", "?", "CON", "x" * 300, "file://",
)  # fmt: skip


def main() -> int:
    """Print what was sent and what came of it; 1 where the service was at fault."""
    import numpy as np

    from tests.audio.fuzz import broken, whole_files
    from tests.serving import bombs
    from tests.serving.fronts import front, serving

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", help="an exported folder")
    parser.add_argument("--mutants", type=int, default=MUTANTS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_files(Path(folder))
        hard = bombs.all_of(Path(folder))
        for name in bombs.AS_LONG_AS_THEY_ARE:
            del hard[name]
    kinds = list(whole)
    began = time.monotonic()
    running = serving(args.model, workers=2) if args.model else front(workers=2)
    with tempfile.TemporaryDirectory() as spool, running as service:
        before = _listing(spool), service.workers()
        mutants = (broken(whole[kinds[n % len(kinds)]], rng)[1] for n in range(args.mutants))
        first = asyncio.run(_sent(service.port, ((m, "a.wav") for m in mutants)))
        memory = service.megabytes()
        names = ((whole["a.wav"], _name(rng)) for _ in range(NAMES))
        second = asyncio.run(_sent(service.port, names))
        third = asyncio.run(_sent(service.port, ((content, "a.wav") for content in hard.values())))
        after = _listing(spool), service.workers()
        code, _, log = service.stop()
    print(f"{args.mutants} mutants of {len(whole)} containers: {_told(first)}")
    print(f"{NAMES} hostile file names: {_told(second)}")
    print(f"{len(hard)} bombs: {_told(third)}")
    crashes = len(set(before[1]) - set(after[1]))
    new = len(after[0] - before[0])
    print(f"workers that ended: {crashes}; new files: {new}; exit code {code}; "
          f"megabytes of front and workers after the mutants: {memory}; "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    faults = [status for status in [*first, *second, *third] if status >= 500]
    is_well = not faults and not crashes and not code and after[0] <= before[0]
    is_well = is_well and set(second) == {200} and {status // 100 for status in third} == {4}
    if not is_well:
        print(log[-2000:])
    return int(not is_well)


def _name(rng) -> str:
    return "".join(PIECES[n] for n in rng.integers(len(PIECES), size=rng.integers(1, 8)))


def _told(statuses: list[int]) -> str:
    return ", ".join(f"{count} of {status}" for status, count in sorted(Counter(statuses).items()))


def _listing(spool: str) -> set[str]:
    """Files where an upload might have been written."""
    places = {spool, tempfile.gettempdir(), os.getcwd(), str(ROOT), "/etc", "/"}
    return {os.path.join(place, name) for place in places for name in os.listdir(place)
            if not name.startswith(("tmp", "pytest", "pool", "bash"))}  # fmt: skip


async def _sent(port: int, uploads) -> list[int]:
    """The status of every upload, so many at once."""
    from tests.serving.clients import post

    waiting, statuses = iter(uploads), []

    async def client() -> None:
        for content, name in waiting:
            statuses.append((await post(port, content, filename=name)).status)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return statuses


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
