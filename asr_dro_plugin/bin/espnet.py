"""``asr-dro espnet``: Python for ESPnet's own asr.sh, with our task and models.

./asr.sh --python "asr-dro espnet" of an ESPnet recipe calls it as it calls python3: its module
asr_train trains with our task, its other asr_* modules know our models, all else is plain Python.
"""

import os
import sys

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.class_path import load_class
from asr_dro_plugin.base.loading import quick_imports
from asr_dro_plugin.errors import run_main

EPILOG = """Uses:
  asr-dro espnet -m espnet2.bin.asr_train --help
"""


def main(argv: list[str] | None = None) -> int:
    """Run a module of ESPnet's, or hand over to Python."""
    words = sys.argv[1:] if argv is None else argv
    parser = Parser(prog="asr-dro espnet", description=__doc__, epilog=EPILOG)
    parser.add_argument("-m", metavar="MODULE", help="module to run with all words behind it")
    is_plain = words[:1] not in ([], ["-m"], ["-h"], ["--help"])
    module = "" if is_plain else parser.parse_args(words[:2]).m or ""
    package, _, name = module.rpartition(".bin.")
    if package and name == "asr_train":
        from asr_dro_plugin.bin import train

        return train.main(words[2:], of_asr_sh=True)
    if package and name.startswith("asr_"):
        with quick_imports():
            import asr_dro_plugin.espnet  # noqa: F401  registers our classes

            main_of = load_class(f"{module}:main")
        main_of(words[2:])
        return 0
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *words])


if __name__ == "__main__":
    run_main(main)
