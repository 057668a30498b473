"""The former name of ``asr-dro info``, with the former ``--config``, for the recipe's dry run."""

import sys
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.bin import info
from asr_dro_plugin.errors import run_main


def main(argv: Sequence[str] | None = None) -> int:
    """``info`` of --config; a token list that stage 5 has not made yet is left out."""
    words = [word for word in (sys.argv[1:] if argv is None else argv) if word != "--config"]
    if "--token_list" in words:
        at = words.index("--token_list")
        if not Path(words[at + 1]).is_file():
            del words[at : at + 2]
    return info.main(words)


if __name__ == "__main__":
    run_main(main)
