"""What computed a training, and what it cost, as ``versions.json`` has it."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.reporting.read.run_state import duration_words


def machine_line(entries: Sequence[Mapping]) -> str | None:
    """``AMD EPYC 7R13, 1 thread; 13 min 32 s, 0.92 GiB of memory at most``; None if not recorded.

    Of a training that went on elsewhere the last machine, the time of all, the highest memory.
    """
    last = entries[-1] if entries else {}
    where = [last[name] for name in ("gpu", "cpu") if last.get(name)]
    where += [_threads(last["threads"])] if last.get("threads") else []
    seconds = sum(float(entry.get("wall_seconds", 0)) for entry in entries)
    cost = [f"{duration_words(seconds)} of wall time"] if seconds else []
    for name, what in (("peak_memory_gib", "memory"), ("peak_gpu_memory_gib", "the GPU's memory")):
        highest = max((float(entry.get(name, 0)) for entry in entries), default=0.0)
        cost += [f"{highest:.2f} GiB of {what} at most"] if highest else []
    return "; ".join(", ".join(part) for part in (where, cost) if part) or None


def _threads(count: str) -> str:
    return f"{count} thread{'' if count == '1' else 's'}"
