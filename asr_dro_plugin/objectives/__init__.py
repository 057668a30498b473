"""What training minimises: losses of utterances in, one loss and the weights of groups out.

Imports: groups.
"""

import inspect

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.objectives.abs_objective import AbsObjective
from asr_dro_plugin.objectives.ctc import CTC
from asr_dro_plugin.objectives.ctc_dro import CTCDRO
from asr_dro_plugin.objectives.group_dro import GroupDRO
from asr_dro_plugin.objectives.weights import update_group_weights

__all__ = ["OBJECTIVES", "AbsObjective", "build_objective", "update_group_weights"]

OBJECTIVES: dict[str, type[AbsObjective]] = {
    "ctc": CTC,
    "group_dro": GroupDRO,
    "ctc_dro": CTCDRO,
}


def build_objective(name: str, num_groups: int, **conf) -> AbsObjective:
    """Objective of a name in ``OBJECTIVES``, with the keys of ``objective_conf``.

    Raises:
        UserError: unknown name or key (with the nearest known one), or a value out of its range.
    """
    if name not in OBJECTIVES:
        raise UserError(
            f"objective is '{name}'. It is one of: {' '.join(OBJECTIVES)}."
            + suggestion(str(name), OBJECTIVES)
        )
    known = list(inspect.signature(OBJECTIVES[name]).parameters)[1:]
    for key in conf:
        if key not in known:
            raise UserError(
                f"objective_conf.{key} is not a key of objective: {name}, which has "
                f"{' '.join(known)}." + suggestion(key, known)
            )
    return OBJECTIVES[name](num_groups, **conf)
