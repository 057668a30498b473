"""Rates at which nobody speaks, of any language and of one whose utterances are known."""

import math
import statistics

from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.text.speaking_rate import FASTEST, LEAST, possible_rates, speaking_rate


def test_marks_do_not_count_and_spaces_do():
    assert speaking_rate("ab c", 2.0) == 2.0
    assert speaking_rate("क\u093cा", 1.0) == 1.0
    assert speaking_rate("a", 0.0) == math.inf


@given(st.lists(st.floats(1, 40), min_size=LEAST, max_size=30))
def test_the_median_of_a_language_is_possible_unless_nobody_speaks_so_fast(rates):
    low, high = possible_rates(rates)
    assert low < high <= FASTEST
    assert low <= min(statistics.median(rates), FASTEST) <= high


def test_a_syllabic_script_has_another_bound_than_an_alphabet():
    assert possible_rates([4.0] * LEAST) == (0.4, 10.0)
    assert possible_rates([4.0] * (LEAST - 1)) == (0.0, FASTEST)
