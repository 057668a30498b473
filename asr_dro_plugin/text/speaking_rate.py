"""Characters a second, and which rates nobody speaks at: there text and recording are no pair.

Combining marks are not counted, so that scripts that write vowels as marks compare with others.
"""

import math
import statistics
from collections.abc import Sequence

from asr_dro_plugin.text.steps import is_mark

FASTEST = 25.0  # characters/s, of any language
FASTER, SLOWER = 2.5, 0.1  # times the median of a language: outside, an utterance is none of its
LEAST = 10  # utterances that a median needs


def speaking_rate(text: str, seconds: float) -> float:
    """Characters a second, spaces included; infinite where there is no time."""
    count = sum(not is_mark(char) for char in text)
    return count / seconds if seconds > 0 else math.inf


def possible_rates(rates: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest possible rate of a language, of whose utterances these are the rates.

    A pause makes an utterance slow, so the lower end lies far from the median; of few utterances
    there is none.
    """
    if len(rates) < LEAST:
        return 0.0, FASTEST
    median = statistics.median(rates)
    return SLOWER * median, min(FASTEST, FASTER * median)
