"""The page's list of what to try next."""

from asr_dro_plugin.reporting.advice import RULES, Advice, advice_for
from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, one_of_several, section
from asr_dro_plugin.reporting.read.experiment import Decoding


def advice_part(material: Material) -> Markup | None:
    """None where nothing was scored."""
    if not material.systems:
        return None
    lead = (
        "Found by fixed rules in the figures of this page; each says what it saw. They are where "
        "to look first, not proofs."
    )
    blocks = [(material.labels[system], _block(system)) for system in material.systems]
    return section("advice", "What to try next", lead, one_of_several("advice", "System", blocks))


def _block(system: Decoding) -> Markup:
    found = advice_for(system)
    if not found:
        return el("p", f"None of the {len(RULES)} rules found anything.")
    return el("ul", [_one(advice) for advice in found], class_="advice")


def _one(advice: Advice) -> Markup:
    return el(
        "li", el("strong", advice.found), " ", advice.attempt, " ",
        el("small", f"Rule: {advice.rule}."),
    )  # fmt: skip
