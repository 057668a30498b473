"""``objective_conf``: the numbers of the method, and apart from them the switches of research.

The numbers (``smoothing_rel``, ``step_size_rel``) are keywords of a member's constructor;
``experimental`` holds what the papers keep fixed.  Loads no torch.
"""

from collections.abc import Mapping

from asr_dro_plugin.base.settings import check_key, check_kind
from asr_dro_plugin.errors import UserError

GIVEN = frozenset({"num_groups", "group_names", "group_sizes"})  # by the task, not by a YAML
# In the order of docs/method.md.
EXPERIMENTAL = (
    "agg", "signal", "reference", "reference_at", "acts_on", "update", "round_limit", "reduction",
    "length_norm", "duration", "size_adjustment", "cap", "floor",
)  # fmt: skip


def keywords(conf: Mapping) -> dict:
    """``objective_conf`` as the keywords of a constructor: ``experimental`` is opened.

    A switch beside ``experimental`` is taken too: so it stands in YAMLs and experiments from before
    there were two levels.

    Raises:
        UserError: ``experimental`` is no mapping, or has a key that it does not know or that
            stands beside it as well; keys that exclude or need one another.
    """
    conf = dict(conf)
    inner = conf.pop("experimental", None)
    check_kind("objective_conf.experimental", inner, {"dict", "none"})
    for key in inner or ():
        check_key("objective_conf.experimental", key, EXPERIMENTAL)
        if key in conf:
            raise UserError(f"objective_conf has {key} twice. Keep that in experimental.")
    conf |= inner or {}
    _refuse_contradictions(conf)
    return conf


def beside_experimental(conf: Mapping) -> list[str]:
    """Switches that stand where they stood before there were two levels."""
    return [key for key in EXPERIMENTAL if key in conf]


def _refuse_contradictions(conf: Mapping) -> None:
    for key in conf:
        if conf[key] is not None and conf.get(f"{key}_rel") is not None:
            raise UserError(f"objective_conf has both {key} and {key}_rel. Leave one of them out.")
    excess, reference = conf.get("signal") == "excess", conf.get("reference")
    if excess and not reference:
        raise UserError(
            "objective_conf.signal is excess, which needs reference: the group_losses.json of a "
            "run with objective ctc on the same data."
        )
    if reference and not excess:
        raise UserError(
            f"objective_conf.reference is ignored with signal {conf.get('signal', 'sum')}."
        )
