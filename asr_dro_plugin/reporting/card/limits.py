"""The limits of a model, each sentence from a figure of its run."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from asr_dro_plugin.reporting.card.facts import Cell
from asr_dro_plugin.reporting.read.score_files import rate_of
from asr_dro_plugin.scoring.confusions import NO_TAG, confused_pairs
from asr_dro_plugin.scoring.table import percent

FEW_HOURS = 10.0  # of a language; below, words outside the training text are mostly misspelt
NUM_CONFUSIONS = 3
LISTED = 8  # languages that a sentence names; more are counted


def limits(
    langs: Sequence[str], cells: Sequence[Cell], report: Mapping | None, config: Mapping
) -> list[str]:
    """Sentences for the card, of a model that knows ``langs`` and was trained on ``cells``.

    ``report`` is the score that the card speaks of; None without one.
    """
    found = _of_data(cells)
    if report is None:
        found.append("**Nothing was measured**: no test set of this model has been scored.")
    else:
        found += _of_scores(langs, report)
    return [*found, *_of_text(config, report), _of_audio(cells)]


def _of_data(cells: Sequence[Cell]) -> list[str]:
    hours, speakers = defaultdict(float), defaultdict(list)
    for cell in cells:
        hours[cell.lang] += cell.seconds / 3600
        speakers[cell.lang].append(cell.speakers)
    found = []
    few = {lang: value for lang, value in hours.items() if value < FEW_HOURS}
    if few:
        low, high = min(few.values()), max(few.values())
        span = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
        found.append(f"**Little training speech**: {span} hours for each of {_listed(few)}.")
    single = [lang for lang, counts in speakers.items() if counts == [1]]
    if single:
        found.append(
            f"**One voice**: the training speech of {_listed(single)} comes from a single speaker "
            "each; expect more errors with every other."
        )
    return found


def _of_scores(langs: Sequence[str], report: Mapping) -> list[str]:
    rates = {name: rate_of(group, "cer") for name, group in report["groups"].items()}
    rates = {name: rate for name, rate in rates.items() if rate is not None}
    found = []
    if len(rates) > 1:
        best, worst = min(rates, key=rates.__getitem__), max(rates, key=rates.__getitem__)
        found.append(
            f"**Languages differ**: the CER on {report['set']} goes from {percent(rates[best])} % "
            f"({best}) to {percent(rates[worst])} % ({worst})."
        )
    unscored = sorted(set(langs) - set(rates))
    if unscored:
        found.append(f"**Not measured**: {_listed(unscored)}.")
    return found + _of_identification(report)


def _of_identification(report: Mapping) -> list[str]:
    """Which languages are taken for which; without the matrix, how often each is missed."""
    matrix = report.get("lid_confusion") or {}
    pairs = sorted(confused_pairs(matrix), key=lambda pair: (-pair[2], *pair[:2]))
    if pairs:
        words = [
            f"{ref} as {hyp if hyp != NO_TAG else 'no language'} ({n} of {round(n / share)})"
            for ref, hyp, n, share in pairs[:NUM_CONFUSIONS]
        ]
        return [f"**Language taken for another**, most often: {', '.join(words)}."]
    missed = {n: rate_of(g, "lid") for n, g in report["groups"].items()}
    missed = {name: rate for name, rate in missed.items() if rate is not None and rate < 1}
    if not missed:
        return []
    worst = min(missed, key=missed.__getitem__)
    return [f"**Language not recognised**: {worst} in {percent(1 - missed[worst])} % of the cases."]


def _of_text(config: Mapping, report: Mapping | None) -> list[str]:
    """What the output cannot hold, from the tokens."""
    tokens = [t for t in config.get("token_list") or [] if not (t[0] in "<[" and len(t) > 1)]
    characters = set("".join(tokens))
    lacking = []
    if not any(c.isupper() for c in characters) and any(c.islower() for c in characters):
        lacking.append("capital letters")
    if not any(c in ".,?!;:。，？！；：" for c in characters):
        lacking.append("punctuation")
    if not any(c.isdigit() for c in characters):
        lacking.append("digits")
    found = [f"**The text has no** {', '.join(lacking)}."] if lacking else []
    if report is not None:
        found.append(f"Errors were counted after the normalisation `{report['normalizer']}`.")
    return found


def _of_audio(cells: Sequence[Cell]) -> str:
    longest = max((cell.longest for cell in cells), default=0.0)
    seen = f" Training utterances were at most {longest:.1f} s long." if longest else ""
    return f"**Audio** is taken at 16 kHz; lower rates lack what the model listens for.{seen}"


def _listed(names: Sequence[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - LISTED} more languages" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
