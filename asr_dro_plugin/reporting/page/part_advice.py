"""The page's list of what to try next: rules that look at the figures and say what they saw.

A rule is a function of one decoding that gives an ``Advice`` or None; ``RULES`` is all of them, in
the order of the page.
"""

from collections.abc import Callable

from asr_dro_plugin.reporting.page.advice import Advice
from asr_dro_plugin.reporting.page.advice_causes import broken, floor, hearing, naming
from asr_dro_plugin.reporting.page.advice_errors import (
    confusion,
    deletions,
    doubtful,
    insertions,
    language_model,
    left_out,
    unsure,
)
from asr_dro_plugin.reporting.page.advice_training import (
    dev_and_test,
    few_hours,
    high_weight,
    known_speakers,
    little_speech,
    low_weight,
    risen,
    still_falling,
)
from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, section
from asr_dro_plugin.reporting.read.experiment import Decoding

RULES: tuple[Callable[[Decoding], Advice | None], ...] = (
    left_out, dev_and_test, known_speakers, naming, floor, broken, hearing, little_speech,
    few_hours, deletions, insertions, doubtful, confusion, high_weight, low_weight, still_falling,
    risen, language_model, unsure,
)  # fmt: skip


def advice_part(material: Material) -> Markup:
    """What the rules find, system by system."""
    lead = (
        "Found by fixed rules in the figures of this page; each says what it saw. They are where "
        "to look first, not proofs."
    )
    return section("advice", "What to try next", lead, material.each_system("advice", _block))


def _block(system: Decoding) -> Markup:
    items = [
        el("li", el("strong", found), " ", attempt, " ", el("small", f"Rule: {rule}."))
        for found, attempt, rule in advice_for(system)
    ]
    if not items:
        return el("p", f"None of the {len(RULES)} rules found anything.")
    return el("ul", items, class_="advice")


def advice_for(system: Decoding) -> list[Advice]:
    """All that the rules have to say of a decoding."""
    return [advice for rule in RULES if (advice := rule(system))]
