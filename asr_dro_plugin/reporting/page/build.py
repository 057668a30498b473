"""``report.html``: one file that needs nothing else, made of the parts in the order of a reader.

The page may load nothing from anywhere: its security policy says so, and styles, script, pictures
and sound are inside.  The same inputs give the same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.part_advice import advice_part
from asr_dro_plugin.reporting.page.part_causes import causes_part
from asr_dro_plugin.reporting.page.part_comparison import comparison_part
from asr_dro_plugin.reporting.page.part_errors import confusion_part, errors_part
from asr_dro_plugin.reporting.page.part_languages import languages_part
from asr_dro_plugin.reporting.page.part_making import making_part
from asr_dro_plugin.reporting.page.part_summary import summary_part
from asr_dro_plugin.reporting.page.part_training import data_part, training_part
from asr_dro_plugin.reporting.page.part_utterances import utterances_part
from asr_dro_plugin.reporting.page.part_weights import weights_part
from asr_dro_plugin.reporting.page.parts import Material, section
from asr_dro_plugin.reporting.read.data_sets import recipe_of
from asr_dro_plugin.reporting.read.experiment import Decoding, Experiment, faults_of
from asr_dro_plugin.reporting.read.utterances import ScoredUtterance
from asr_dro_plugin.reporting.words import short_names
from asr_dro_plugin.scoring.paired import Differences, differences
from asr_dro_plugin.text.languages import Language, read_languages

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
)
PAGE_SIZE = 7_000_000  # bytes; the utterances' own text comes on top
PARTS = (  # key, name, how it is made (None: nothing to show), the systems that it needs
    ("summary", "In short", summary_part, 0),
    ("languages", "Languages", languages_part, 0),
    ("causes", "Why", causes_part, 1),
    ("comparison", "Differences", comparison_part, 2),
    ("advice", "What to try", advice_part, 1),
    ("utterances", "Utterances", utterances_part, 1),
    ("errors", "Mistakes", errors_part, 1),
    ("lid", "Mix-ups", confusion_part, 1),
    ("weights", "Weights", weights_part, 1),
    ("training", "Training", training_part, 0),
    ("data", "Data", data_part, 0),
    ("making", "How made", making_part, 0),
)


def collect(
    experiments: Sequence[Experiment],
    set_name: str | None = None,
    tag: str | None = None,
    num_audio: int | None = None,
) -> Material:
    """Choose what is shown and compare it.

    Args:
        experiments: the first is what the others are compared with.
        set_name: the set shown in full; by default the first test set that all experiments have.
        tag: only this decoding.
        num_audio: utterances with sound; None: all that are shown.

    Raises:
        UserError: ``set_name`` or ``tag`` is of no score.
    """  # fmt: skip
    decodings = [each for experiment in experiments for each in experiment.decodings]
    _check_known("--set", set_name, [each.set_name for each in decodings])
    _check_known("--inference_tag", tag, [each.tag for each in decodings])
    decodings = [each for each in decodings if tag in (None, each.tag)]
    set_name = set_name or _common_set(decodings)
    systems = [each for each in decodings if each.set_name == set_name]
    return Material(
        experiments, set_name, systems, _comparisons(systems), _languages(experiments[0]),
        num_audio, _labels(systems),
    )  # fmt: skip


def _check_known(option: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise UserError(
            f"No experiment has a score of {option} {value}.{suggestion(value, known)} "
            f"There are: {' '.join(sorted(set(known))) or 'none'}."
        )


def _common_set(decodings: Sequence[Decoding]) -> str | None:
    """The set that most experiments have; of equals the first, and test sets come first."""
    owners: dict[str, set[Experiment]] = {}
    for each in decodings:
        owners.setdefault(each.set_name, set()).add(each.experiment)
    return max(owners, key=lambda name: len(owners[name]), default=None)


def _comparisons(systems: Sequence[Decoding]) -> dict[Decoding, Differences | str]:
    found: dict[Decoding, Differences | str] = {}
    for other in systems[1:]:
        base = systems[0].utterances
        if base is None or other.utterances is None:
            found[other] = "Score both again (stage 13): the paired test reads utts.tsv."
            continue
        try:
            found[other] = compare(base, other.utterances)
        except UserError as error:
            found[other] = str(error)
    return found


def compare(base: Sequence[ScoredUtterance], other: Sequence[ScoredUtterance]) -> Differences:
    """The differences of CER, other minus base, over the utterances of both (one paired test).

    Raises:
        UserError: no utterance in common, or references that were counted differently.
    """
    theirs = {utterance.utt_id: utterance for utterance in other}
    pairs = [(each, theirs[each.utt_id]) for each in base if each.utt_id in theirs]
    if not pairs:
        raise UserError("The two decodings have no utterance in common.")
    for one, two in pairs:
        if one.ref != two.ref:
            raise UserError(
                f"The references of '{one.utt_id}' differ. Score both with the same "
                "--text_norm and the same reference."
            )
    ours, others = zip(*pairs, strict=True)
    return differences(
        ([each.errors for each in ours], [each.errors for each in others]),
        [each.ref_chars for each in ours],
        [each.group for each in ours],
        [each.unit for each in ours],
    )


def _labels(systems: Sequence[Decoding]) -> dict[Decoding, str]:
    """As short as tells the systems apart: by the decoding, the experiment, or both."""
    experiments = list(dict.fromkeys(system.experiment for system in systems))
    tags = list(dict.fromkeys(system.tag for system in systems))
    names = dict(zip(experiments, short_names([each.name for each in experiments])))
    short = dict(zip(tags, short_names(tags)))
    if len(experiments) == 1:
        return {system: short[system.tag] for system in systems}
    if len(tags) == 1:
        return {system: names[system.experiment] for system in systems}
    return {system: f"{names[system.experiment]}, {short[system.tag]}" for system in systems}


def _languages(experiment: Experiment) -> Mapping[str, Language]:
    path = recipe_of(experiment.path) / "local" / "languages.tsv"
    return experiment.attempt(lambda: read_languages(path), {}) if path.exists() else {}


def page(material: Material) -> str:
    """The whole file."""
    parts = _parts(material)
    names = [experiment.name for experiment in material.experiments]
    title = names[0] if len(names) == 1 else f"{len(names)} experiments"
    links = [el("a", name, href=f"#{key}") for key, name, _ in parts]
    body = el(
        "body",
        el("a", "To the content", href="#main", class_="aloud"),
        el("header", el("h1", f"Report: {title}"), _subtitle(material, names),
           el("nav", links, aria_label="Contents")),
        el("main", _faults(material), [part for _, _, part in parts], id="main"),
        el("script", _inline("page.js")),
    )  # fmt: skip
    head = el(
        "head", el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("link", rel="icon", href="data:,"),
        el("title", f"{title} - speech recognition report"), el("style", _inline("page.css")),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _parts(material: Material) -> list[tuple[str, str, Markup]]:
    """(key, name, content) in the page's order; sound gets the room that the others leave."""
    there = [each for each in PARTS if len(material.systems) >= each[3]]
    made = {key: part(material) for key, _, part, _ in there if part is not utterances_part}
    taken = sum(len(content.encode()) for content in made.values() if content)
    if material.systems:
        made["utterances"] = utterances_part(material, PAGE_SIZE - taken)
    return [(key, name, made[key]) for key, name, _, _ in there if made[key]]


def _subtitle(material: Material, names: Sequence[str]) -> Markup:
    words = []
    if len(names) > 1:
        words.append(", ".join(names))
    if material.set_name:
        words.append(f"Shown in full: {material.set_name}")
    return el("p", ". ".join(words), class_="lead")


def _faults(material: Material) -> Markup | None:
    """What could not be read, so that no one takes its absence for a result."""
    faults = faults_of(material.experiments)
    if not faults:
        return None
    lead = "These files are there but could not be used; what they hold is not on this page."
    return section(
        "faults", "What could not be used", lead, el("ul", [el("li", f) for f in faults])
    )


def _inline(name: str) -> Markup:
    """A file beside this one, as the content of a style or script."""
    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))
