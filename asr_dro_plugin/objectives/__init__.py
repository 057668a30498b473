"""What training minimises: losses of utterances in, one loss and the weights of groups out.

A new objective is one file with its class and one line in ``OBJECTIVES``.  What is here and in
``keys`` loads no torch, for a plan reads it.

Imports: base groups.
"""

from typing import NamedTuple

from asr_dro_plugin.base.class_path import load_class
from asr_dro_plugin.base.settings import check_word
from asr_dro_plugin.objectives.keys import keywords

__all__ = ["DEFAULT", "OBJECTIVES", "Objective", "build_objective"]


class Objective(NamedTuple):
    """A line of the table: the class of an objective, and what it minimises in words."""

    path: str
    words: str


_HERE = "asr_dro_plugin.objectives"
OBJECTIVES = {
    "ctc": Objective(f"{_HERE}.ctc:CTC", "plain CTC, the average over utterances"),
    "group_dro": Objective(
        f"{_HERE}.group_dro:GroupDRO", "group DRO, which minimises the loss of the worst language"
    ),
    "ctc_dro": Objective(
        f"{_HERE}.ctc_dro:CTCDRO", "CTC-DRO, which gives weight to the languages of high loss"
    ),
}
DEFAULT = "ctc_dro"


def build_objective(name: str, num_groups: int, **conf):
    """The ``AbsObjective`` of a name in ``OBJECTIVES``, with the keys of ``objective_conf``.

    Raises:
        UserError: unknown name or key (with the nearest known one), or a value out of its range.
    """
    check_word("objective", name, OBJECTIVES)
    return load_class(OBJECTIVES[name].path)(num_groups, **keywords(conf))
