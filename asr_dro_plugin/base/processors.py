"""How many processors this process may keep busy: its affinity, and the quota of its control group.

A container of two processors (``docker run --cpus 2``) sees all of its host's; what it may use of
them stands in the control group's files alone.

Source: the Linux kernel's documentation, "Control Group v2" (cpu.max) and "CFS Bandwidth Control".
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def num_processors(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Processors that may be kept busy, at least 1; a part of one counts as one."""
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    return max(1, min([count, *map(math.ceil, _quotas(groups, own))]))


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """Quotas, in processors, of this process's control group and those around it."""
    for folder in _folders(groups, own):
        for line in (_line(folder / "cpu.max"), _line_of_two(folder)):  # version 2, version 1
            quota, _, period = line.partition(" ")
            if quota.isdigit() and period.isdigit() and int(period):
                yield int(quota) / int(period)


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    yield from (groups, groups / "cpu")  # all that a container sees of its own
    for line in _text(own).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            root = groups if number == "0" else groups / "cpu"
            place = root / path.lstrip("/")
            yield from (each for each in (place, *place.parents) if each.is_relative_to(root))


def _line_of_two(folder: Path) -> str:
    return f"{_line(folder / 'cpu.cfs_quota_us')} {_line(folder / 'cpu.cfs_period_us')}"


def _line(path: Path) -> str:
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
