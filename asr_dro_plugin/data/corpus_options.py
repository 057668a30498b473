"""The options that every ``local/data_<corpus>.py`` takes, and their one-line errors."""

import re
from collections.abc import Callable

from asr_dro_plugin.base.arguments import Parser, fraction
from asr_dro_plugin.data.drop_ledger import DEFAULT_CAP
from asr_dro_plugin.errors import UserError, run_main, suggestion
from asr_dro_plugin.text.normalizers import KINDS

RECIPES = {"corpus", "data_source", "langs", "lid", "text_norm", "max_drop"}  # options of run.sh


def run_corpus(main: Callable[[], int | None]) -> None:
    """``run_main`` of a corpus's script, whose other options run.sh hands on; its errors say so."""

    def run() -> int | None:
        try:
            return main()
        except UserError as error:
            for name in re.findall(r"(?<![\w-])--([a-z]\w*)", str(error)):
                if name not in RECIPES:
                    hint = f"{error} (In ./run.sh: --local_data_opts '--{name} ...'.)"
                    raise type(error)(hint) from error
            raise

    run_main(run)


class OptionParser(Parser):
    """A parser with one-line errors, and with the options that every corpus script takes."""

    def __init__(self, corpus: str, description: str) -> None:
        super().__init__(description=description)
        self.corpus, add = corpus, self.add_argument
        add("--out_dir", default="data", help="where the sets go")
        add("--name", default=corpus, help="the sets are train_NAME, dev_NAME, ...")
        add("--langs", default="", help="ISO 639-3 codes; all if empty")
        self.add_switch("--lid", "[iso] tag first in the text", True)
        add("--text_norm", default="lower_no_punct", help=KINDS)
        add("--data_source", "--source", dest="source", default="",
            help="root of the corpus, or its table")  # fmt: skip
        add("--seed", type=int, default=7, help="for splits that are made here")
        self.add_switch("--new_split", "make the split anew")
        add("--max_drop", type=fraction, default=DEFAULT_CAP, help="largest share per language")

    def error(self, message: str):
        """argparse's hook: what it found wrong, as our one line."""
        unknown = re.search(r"unrecognized arguments: --(\w+)", message)
        if unknown:
            known = [flag.lstrip("-") for flag in self._option_string_actions]
            message = (
                f"--{unknown[1]} does not apply to corpus {self.corpus}."
                f"{suggestion(unknown[1], known)} Options: {' '.join(sorted(known))}."
            )
        raise UserError(message)
