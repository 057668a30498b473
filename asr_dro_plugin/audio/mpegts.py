"""Whether an MPEG transport stream has all its packets.  Source: ISO/IEC 13818-1, 2.4.3."""

from typing import BinaryIO

import numpy as np

SIZE, SYNC, NULL = 188, 0x47, 0x1FFF


def is_whole(stream: BinaryIO) -> bool:
    """Whether every packet begins where it must, and each track's counter misses none."""
    content = np.frombuffer(stream.read(), np.uint8)
    packets = content[: len(content) // SIZE * SIZE].reshape(-1, SIZE)
    if not (packets[:, 0] == SYNC).all():
        return False
    tracks = (packets[:, 1] & 0x1F).astype(int) << 8 | packets[:, 2]
    carries = (packets[:, 3] & 0x10 != 0) & (tracks != NULL)
    for track in np.unique(tracks[carries]):
        steps = np.diff((packets[carries & (tracks == track), 3] & 0x0F).astype(int)) % 16
        if (steps > 1).any():
            return False
    return True
