"""How all this was made: settings, commands, versions, and how figures are defined."""

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, missing, one_of_several, section, table
from asr_dro_plugin.reporting.read.experiment import Experiment
from asr_dro_plugin.reporting.read.facts import command_of, settings_of, versions_line, versions_of
from asr_dro_plugin.reporting.read.machine import machine_line
from asr_dro_plugin.reporting.results_md import RUN_NAMES, remarks

DEFINITIONS = (
    "CER and WER are corpus errors: all errors of a language over all its reference characters "
    "or words. ML-SUPERB's convention, the mean of the utterances' rates, stands in RESULTS.md. "
    "Intervals are of a bootstrap over speakers or recordings, or over utterances where these are "
    "not known or one alone, with the percentiles moved outwards for few (Hesterberg 2015). The "
    "paired test swaps the two systems' results at random, and its interval holds the differences "
    "that it does not refuse."
)


def making_part(material: Material) -> Markup:
    """A block for each experiment."""
    blocks = [(each.name, _block(each)) for each in material.experiments]
    return section(
        "making", "How was this made?", DEFINITIONS,
        one_of_several("making", "Experiment", blocks),
    )  # fmt: skip


def _block(experiment: Experiment) -> Markup:
    versions = versions_of(experiment.path, experiment.config)
    command = command_of(experiment.path)
    return el(
        "div", el("h3", "Training"), el("p", f"Versions: {versions_line(versions)}."),
        el("p", f"Computed on: {machine_line(versions) or 'not recorded'}."),
        _command(command, "the training's command (run.sh)"), _settings(experiment),
        el("h3", "Decoding and scoring"), _decodings(experiment),
    )  # fmt: skip


def _settings(experiment: Experiment) -> Markup:
    rows = settings_of(experiment.config)
    if not rows:
        return missing("the settings", "Copy the training's config.yaml into the experiment.")
    if experiment.seen:
        hours = sum(row["seconds"] for row in experiment.seen) / 3600
        rows.append(("hours seen", f"{hours:.1f}, repeats included"))
    cells = [[el("th", name, scope="row"), el("td", value)] for name, value in rows]
    return table(["setting", "value"], cells, "Settings of the training", class_="settings")


def _decodings(experiment: Experiment) -> list[Markup]:
    if not experiment.decodings:
        return [missing("scores", "Run stages 12 and 13.")]
    found = []
    for decoding in experiment.decodings:
        run, report = decoding.report["run"], decoding.report
        facts = [f"text normalised by {report['normalizer']}"]
        facts += [f"{name} {run[key]}" for key, name in RUN_NAMES.items() if key in run]
        found.append(el(
            "details", el("summary", f"{decoding.set_name}, {decoding.tag}"),
            el("ul", [el("li", fact) for fact in (*facts, *remarks(report))]),
            _command(command_of(decoding.folder), "the decoding's command (run.sh)"),
        ))  # fmt: skip
    return found


def _command(command: str | None, what: str) -> Markup:
    if command is None:
        return missing(what, "The recipe writes it; this was run in another way.")
    return el("pre", el("code", command), tabindex="0")
