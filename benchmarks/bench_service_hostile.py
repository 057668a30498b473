"""Ten thousand uploads that are meant badly, against a live service: no 5xx, no crash, no growth.

Mutants of every container that is read, bombs, and file names that would lead elsewhere, each over
HTTP on 127.0.0.1.  With a MODEL its workers transcribe what can be read; without one they count
samples (``tests/serving/stand_in.py``), which tests the same decoding.
"""

import argparse
import asyncio
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
    mutants = (broken(whole[kinds[n % len(kinds)]], rng)[1] for n in range(args.mutants))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        spool = Path(place) / "spool"  # uploads are here, without a name
        spool.mkdir()
        there = {"TMPDIR": str(spool)}
        running = serving(args.model, environment=there, workers=2) if args.model else (
            front(environment=there, workers=2))  # fmt: skip
        with running as service:
            workers, before = set(service.workers()), _listing(place)
            first = asyncio.run(_sent(service.port, ((each, "a.wav") for each in mutants)))
            memory = service.megabytes()
            names = ((whole["a.wav"], _name(rng)) for _ in range(NAMES))
            second = asyncio.run(_sent(service.port, names))
            third = asyncio.run(_sent(service.port, ((each, "a.wav") for each in hard.values())))
            ended, new = workers - set(service.workers()), _listing(place) - before
            code, _, log = service.stop()
    print(f"{args.mutants} mutants of {len(whole)} containers: {_told(first)}")
    print(f"{NAMES} hostile file names: {_told(second)}")
    print(f"{len(hard)} bombs: {_told(third)}")
    print(f"workers that ended: {len(ended)}; new files: {len(new)}; exit code {code}; MB of front "
          f"and workers after the mutants: {memory}; {time.monotonic() - began:.0f} s")  # fmt: skip
    is_well = max(*first, *second, *third) < 500 and not (ended or new or code)
    is_well = is_well and set(second) == {200} and {status // 100 for status in third} == {4}
    if not is_well:
        print("\n".join(line for line in log.splitlines() if " INFO " not in line)[-4000:])
    return int(not is_well)


def _name(rng) -> str:
    return "".join(PIECES[n] for n in rng.integers(len(PIECES), size=rng.integers(1, 8)))


def _told(statuses: list[int]) -> str:
    return ", ".join(f"{count} of {status}" for status, count in sorted(Counter(statuses).items()))


def _listing(place: str) -> set[str]:
    """Files where an upload might have been written."""
    places = [*Path(place).rglob("*"), *Path("/etc").iterdir(), *Path("/").iterdir()]
    return {*map(str, places)}


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
