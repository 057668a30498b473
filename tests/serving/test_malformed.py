"""Whatever is sent: an answer that is no fault of the service, from a worker that lives on."""

import asyncio
import os
from collections import Counter

import numpy as np
import pytest

from asr_dro_plugin.serving.protocol import Failed
from tests.audio.fuzz import broken, whole_files
from tests.serving import bombs
from tests.serving.test_pool import transcribed, with_pool

NUM = 300  # benchmarks/bench_service_hostile.py sends ten thousand


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return whole_files(tmp_path_factory.mktemp("whole"))


def unnamed(content: bytes) -> int:
    """A descriptor of it."""
    descriptor = os.memfd_create("upload")
    os.write(descriptor, content)
    return descriptor


def verdicts(contents: list[bytes]) -> tuple[list[str], int]:
    """What each is answered with, and how many workers it took."""

    async def body(pool):
        gate = asyncio.Semaphore(20)

        async def one(content):
            async with gate:
                end = (await transcribed(pool, unnamed(content)))[-1]
            return f"{end.status} {end.code}" if isinstance(end, Failed) else "200"

        made = await asyncio.gather(*map(one, contents))
        return made, pool.num_restarts

    return with_pool(body)


def test_mutants_of_every_container_are_read_or_the_clients_fault(whole):
    rng, names = np.random.default_rng(1), list(whole)
    contents = [broken(whole[names[n % len(names)]], rng)[1] for n in range(NUM)]
    made, num_restarts = verdicts([*whole.values(), *contents])
    assert made[: len(whole)] == ["200"] * len(whole)
    counts = Counter(made)
    assert set(counts) <= {"200", "400 invalid_audio", "400 unsupported_sample_rate",
                           "400 unsupported_channels", "413 audio_too_long"}  # fmt: skip
    assert counts["200"] > NUM // 5 and counts["400 invalid_audio"] > NUM // 10
    assert num_restarts == 0


def test_bombs_and_things_that_are_no_audio_are_the_clients_fault(tmp_path):
    contents = bombs.all_of(tmp_path)
    for name in bombs.AS_LONG_AS_THEY_ARE:
        del contents[name]
    noise = np.random.default_rng(0).bytes(100_000)
    others = [b"", b"\n", noise, b"<html></html>", b"\x7fELF" + bytes(500), b"%PDF-1.7\n" * 99,
              b"RIFF", b"OggS", b"fLaC", b"ID3\4" + b"\x7f" * 200]  # fmt: skip
    made, num_restarts = verdicts([*contents.values(), *others])
    assert {verdict[0] for verdict in made} == {"4"}, list(zip(contents, made, strict=False))
    assert num_restarts == 0
