"""What front and worker say beside ``protocol``'s messages, and where a worker's turn stands.

Lines of their socket are ``N MESSAGE``: the front's number of a job, and a line of ``protocol``, or
``cancel``; from the worker with the number ``NOBODY`` first ``ready`` with facts, or ``fault`` with
a reason, in JSON.  A job's descriptor travels with its line.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

CANCEL, READY, FAULT = b"cancel", b"ready", b"fault"
NOBODY = 0  # number of no job
PAGE = struct.Struct("=q")  # shared memory: the job whose turn it is, so that a crash is owed to it
HEADROOM = 4 << 30


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told when it starts.

    Args:
        models: name -> exported folder or packed zip.
        threads: of onnxruntime.
        max_seconds: longest recording.
        headroom: bytes of memory that transcribing may take above the loaded models.
    """

    models: Mapping[str, str]
    threads: int = 1
    max_seconds: float = 4 * 3600.0
    headroom: int = HEADROOM
