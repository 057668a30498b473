"""Error rates of characters, words and phonemes, language identification, and their tables.

``score(references, hypotheses)`` of two dictionaries is all that a script needs; the ``Score`` it
returns holds every count down to the utterance.
"""

from asr_dro_plugin.scoring.error_rates import Score, score

__all__ = ["Score", "score"]
