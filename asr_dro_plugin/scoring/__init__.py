"""References and hypotheses in, error rates with confidence intervals out.

``score(references, hypotheses)`` of two dictionaries is all that a script needs; the ``Score`` it
returns holds every count down to the utterance.

Imports: audio base text transcripts.
"""

from asr_dro_plugin.scoring.error_rates import Score, score

__all__ = ["Score", "score"]
