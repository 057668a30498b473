"""How the training went: error, weight, loss of each group, what was seen; what data is like."""

import statistics
from collections.abc import Mapping, Sequence
from operator import attrgetter

from asr_dro_plugin.reporting.page.markup import Markup, data_url, el
from asr_dro_plugin.reporting.page.parts import (
    Material,
    cell,
    missing,
    one_of_several,
    section,
    table,
)
from asr_dro_plugin.reporting.page.svg import (
    NUM_COLOURS,
    Line,
    histogram,
    histogram_end,
    hour_bar,
    line_chart,
    scale_of,
)
from asr_dro_plugin.reporting.read.data_sets import DataSet
from asr_dro_plugin.reporting.read.experiment import Experiment
from asr_dro_plugin.reporting.read.history import History
from asr_dro_plugin.reporting.read.voices import voices_lines
from asr_dro_plugin.reporting.words import hours_words, plural

WORST, BEST = 4, 2  # groups in colour where there are more than colours
PICTURES, PICTURE_SIZE = 3, 300_000  # number, bytes each
FEW_EPOCHS = 5  # below this many the figures within epochs show more
CHARTS = (
    # phase, name, title, what it says, percentage, logarithmic where it spans much
    ("valid", "cer_", "Error of each language on the development set",
     "CER by greedy decoding after each epoch. Lines that still fall would gain from more epochs; "
     "one that rises while others fall is being forgotten.", True, False),
    ("train", "q_", "Weight of each language in training",
     "How much each language counts in the loss (they sum to 1; without group weighting there are "
     "none). A weight that stays high belongs to a language that stays hard.", False, False),
    ("train", "loss_", "Training loss of each language",
     "The mean CTC loss of an utterance, in nats; longer utterances have more.", False, True),
)  # fmt: skip
MEASURES = {  # unit -> (of a data set, what a screen reader says)
    "seconds": (attrgetter("durations"), "How long the utterances are:"),
    "characters": (attrgetter("lengths"), "How long the transcripts are, as trained on:"),
}
OVERALL = (("train", "training"), ("valid", "development"))


def training_part(material: Material) -> Markup:
    """A block for each experiment; a menu chooses which is shown."""
    lead = (
        "What happened while the model learned. Choose a language to see its line; pointing at a "
        "line names it."
    )
    blocks = [
        (experiment.name, _block(experiment, index, len(material.experiments) == 1))
        for index, experiment in enumerate(material.experiments)
    ]
    return section(
        "training", "How did the training go?", lead,
        one_of_several("training", "Experiment", blocks),
    )  # fmt: skip


def _block(experiment: Experiment, index: int, alone: bool) -> Markup:
    history = experiment.history
    if history is None or not (history.names("train") or history.names("valid")):
        how = (
            "Training writes metrics.jsonl and tensorboard/ into the experiment (stage 11; leave "
            "--use_tensorboard at true). Copy them here and make the report again."
        )
        return el("div", missing("the course of the training", how), _seen(experiment))
    groups = experiment.groups or history.groups()
    colours = in_colour(history, groups)
    charts = [chart for each in CHARTS if (chart := _chart(history, groups, colours, *each))]
    return el(
        "div", _menu(groups, colours, index),
        el("div", charts, _overall(history), class_="charts"), _seen(experiment),
        _augmentation(experiment) if alone else None,
        id=f"training-block-{index}",
    )  # fmt: skip


def _menu(groups: Sequence[str], colours: Sequence[str], index: int) -> Markup | None:
    if len(groups) < 2:
        return None
    note = "" if len(colours) == len(groups) else " (in colour: the worst and best at the end)"
    options = [el("option", "none", value="")] + [el("option", group) for group in sorted(groups)]
    select = el("select", options, data_pick=f"training-block-{index}")
    return el("label", f"Show a language{note} ", select, class_="menu")


def in_colour(history: History, groups: Sequence[str]) -> list[str]:
    """Groups whose lines are coloured: all that few colours hold, else the worst and the best."""
    if len(groups) <= NUM_COLOURS:
        return sorted(groups)
    last = {}
    for group in groups:
        values = history.series("valid", f"cer_{group}").values
        if not len(values):
            values = history.series("train", f"loss_{group}").values
        if len(values):
            last[group] = float(values[-1])
    ranked = sorted(last, key=lambda group: (-last[group], group))
    return ranked[:WORST] + ranked[-BEST:] if len(ranked) > WORST + BEST else ranked


def _chart(
    history: History, groups: Sequence[str], colours: Sequence[str], phase: str, prefix: str,
    title: str, meaning: str, per_cent: bool, may_be_log: bool,
) -> Markup | None:  # fmt: skip
    lines, x_name = _lines(history, phase, [(f"{prefix}{group}", group) for group in groups])
    drawn = line_chart(lines, colours, x_name, f"{title}, a line each", per_cent, may_be_log)
    return _figure(title, meaning, drawn)


def _figure(title: str, meaning: str, drawn: Markup | None) -> Markup | None:
    caption = el("figcaption", el("strong", title), el("br"), meaning)
    return drawn and el("figure", caption, drawn)


def _lines(
    history: History, phase: str, names: Sequence[tuple[str, str]]
) -> tuple[list[Line], str]:
    """The figures of each epoch; of a training of few epochs those within them."""
    whole = {label: history.series(phase, name) for name, label in names}
    most = max((len(series.values) for series in whole.values()), default=0)
    if most < FEW_EPOCHS:
        within = {label: history.series(phase, name, whole=False) for name, label in names}
        if max((len(series.values) for series in within.values()), default=0) > most:
            return [Line(label, s.steps, s.values) for label, s in within.items()], "updates"
    return [Line(label, s.epochs, s.values) for label, s in whole.items()], "epoch"


def _overall(history: History) -> Markup | None:
    lines = [
        Line(label, series.epochs, series.values)
        for phase, label in OVERALL
        if len((series := history.series(phase, "loss")).values)
    ]
    title = "Loss over all languages"
    names = [line.name for line in lines]
    meaning = (
        "Training and development set. Where the second rises while the first falls, the model "
        "learns its training set by heart."
    )
    return _figure(title, meaning, line_chart(lines, names, "epoch", title, may_be_log=True))


def _seen(experiment: Experiment) -> Markup:
    """Hours that training passed over, beside the hours there are."""
    training = experiment.training_set
    there = training.hours_by_language() if training else {}
    seen: dict[str, float] = {}
    for row in experiment.seen:
        seen[row["group"]] = seen.get(row["group"], 0.0) + row["seconds"] / 3600
    if not seen and not there:
        how = "seen.json is written by training; the hours of data come from dump/raw."
        return missing("hours of data", how)
    langs = sorted({*seen, *there}, key=lambda lang: (-there.get(lang, seen.get(lang, 0)), lang))
    end = scale_of(max((there or seen).values()))
    rows = [
        [el("th", lang, scope="row"), cell(hour_bar((there or seen).get(lang, 0), end),
                                           (there or seen).get(lang, 0)),
         _hours(there.get(lang)), _hours(seen.get(lang)),
         cell(f"{seen[lang] / there[lang]:.1f}") if there.get(lang) and lang in seen else
         cell("-", 0)]
        for lang in langs
    ]  # fmt: skip
    heads = ["language", "hours", "in the training set", ("seen", "with repeats"),
             ("passes", "how often each utterance was seen, on average")]  # fmt: skip
    caption = "Hours of speech in training"
    return el(
        "details", el("summary", f"{caption}: {hours_words(sum((there or seen).values()))}"),
        table(heads, rows, caption, sort=True),
    )  # fmt: skip


def _hours(hours: float | None) -> Markup:
    return cell("-", 0) if hours is None else cell(hours_words(hours), f"{hours:.6f}")


def _augmentation(experiment: Experiment) -> Markup | None:
    """Pictures that training made of what augmentation does, where there are any."""
    found = sorted(experiment.path.glob("augmentation/epoch*/*.png"))
    small = [path for path in found if path.stat().st_size <= PICTURE_SIZE][:PICTURES]
    if not small:
        return None
    images = [
        el("img", src=data_url("image/png", path.read_bytes()), class_="picture",
           alt=f"{path.stem}: features before and after augmentation, {path.parent.name}")
        for path in small
    ]  # fmt: skip
    lead = "Before and after, of a few utterances; masked stretches must not hide whole words."
    return el("details", el("summary", "What augmentation does"), el("p", lead), images)


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
    trained = material.experiments[0].training_set
    voices = [el("li", f"{line[:1].upper()}{line[1:]}.") for line in voices_lines(sets, trained)]
    return section(
        "data", title, lead, el("ul", voices),
        el("div", [_card(each, ends) for each in sets], class_="grid"),
    )  # fmt: skip


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


def _card(data_set: DataSet, ends: Mapping[str, float]) -> Markup:
    count = max(len(data_set.durations), len(data_set.lengths))
    langs = set(data_set.langs)
    facts = [plural(count, "utterance"), plural(len(langs), "language")]
    if data_set.durations:
        each = hours_words(statistics.median(data_set.hours_by_language().values()))
        facts.append(f"{hours_words(data_set.hours)} ({each} the median language)")
    pictures = [
        histogram(values, ends[unit], unit, f"{what} {data_set.name}, {unit}")
        for unit, (read, what) in MEASURES.items()
        if (values := read(data_set))
    ]
    return el("div", el("h3", data_set.name), el("p", ", ".join(facts)), pictures, class_="card")
