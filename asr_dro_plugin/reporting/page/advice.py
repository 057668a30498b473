"""What a rule of the page's advice gives, and what rules share."""

from typing import NamedTuple

from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.score_files import rate_of


class Advice(NamedTuple):
    """What was found (with its figures), what to try, and the rule that says so."""

    found: str
    attempt: str
    rule: str


def hard_languages(system: Decoding) -> list[str]:
    """Languages above the macro CER, worst first; the only one of a single language."""
    groups, macro = system.report["groups"], system.report["macro"]["cer"]
    found = [lang for lang in groups if rate_of(groups[lang], "cer") >= macro > 0]
    return sorted(found, key=lambda lang: (-rate_of(groups[lang], "cer"), lang))
