"""Stage 11: train (or ``--collect_stats``) with ESPnet's options and ours."""

import os
import sys

from asr_dro_plugin.errors import run_main


def main(argv: list[str] | None = None) -> int:
    """Run ``DROASRTask`` as ``espnet2.bin.asr_train`` runs ``ASRTask``."""
    # ESPnet's trainer reads neither; a user who exported them keeps them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    import asr_dro_plugin.espnet  # noqa: F401  registers our classes
    from asr_dro_plugin.espnet.task import DROASRTask

    DROASRTask.main(cmd=argv)
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
