"""What the data is like: how long utterances and transcripts are, set by set."""

from collections.abc import Mapping
from operator import attrgetter

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, missing, section
from asr_dro_plugin.reporting.page.svg import histogram, histogram_end
from asr_dro_plugin.reporting.read.data_sets import DataSet
from asr_dro_plugin.reporting.words import hours_words, plural

MEASURES = {  # unit -> (of a data set, what a screen reader says)
    "seconds": (attrgetter("durations"), "How long the utterances are:"),
    "characters": (attrgetter("lengths"), "How long the transcripts are:"),
}


def data_part(material: Material) -> Markup:
    """Histograms of each set that any experiment was trained on or decoded."""
    title, sets = "What is the data like?", _sets(material)
    if not sets:
        how = (
            "Make the report from the recipe's folder, or name the folder of the data sets: "
            "--dump dump/raw."
        )
        return section("data", title, None, missing("the data directories", how))
    lead = (
        "A model does worst on what it met least: compare the training set with what it is tested "
        "on. The axes are the same for all sets; the last bar holds whatever is longer."
    )
    ends = {
        unit: max((histogram_end(values) for each in sets if (values := read(each))), default=1.0)
        for unit, (read, _) in MEASURES.items()
    }
    return section(
        "data", title, lead, el("div", [_one(each, ends) for each in sets], class_="grid")
    )


def _sets(material: Material) -> list[DataSet]:
    """Training sets first, then those decoded; each folder once."""
    found: dict[DataSet, None] = {}
    for experiment in material.experiments:
        if experiment.training_set:
            found[experiment.training_set] = None
    for experiment in material.experiments:
        for decoding in experiment.decodings:
            if data_set := experiment.data_set(decoding.set_name):
                found[data_set] = None
    return list(found)


def _one(data_set: DataSet, ends: Mapping[str, float]) -> Markup:
    count = max(len(data_set.durations), len(data_set.lengths))
    facts = [plural(count, "utterance"), plural(len(set(data_set.langs)), "language")]
    if data_set.durations:
        facts.append(hours_words(data_set.hours))
    pictures = [
        histogram(values, ends[unit], unit, f"{what} {data_set.name}, {unit}")
        for unit, (read, what) in MEASURES.items()
        if (values := read(data_set))
    ]
    return el("div", el("h3", data_set.name), el("p", ", ".join(facts)), pictures, class_="card")
