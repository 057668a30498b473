"""``README.md`` of a packed model: what it is, its training data, its results and its limits.

Written from the run alone: no date, no path of a machine, the same run gives the same text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asr_dro_plugin.data.corpora import UNKNOWN, CorpusLicence, find
from asr_dro_plugin.objectives import OBJECTIVES
from asr_dro_plugin.reporting.card.facts import NOT_NAMED, Cell, stack_of
from asr_dro_plugin.reporting.card.front_matter import CITATION, front_matter
from asr_dro_plugin.reporting.card.limits import limits
from asr_dro_plugin.reporting.read.facts import settings_of, versions_line
from asr_dro_plugin.reporting.read.machine import machine_line
from asr_dro_plugin.reporting.read.score_files import interval_of, macro_interval, rate_of, worst_of
from asr_dro_plugin.reporting.words import short_names
from asr_dro_plugin.scoring.table import percent
from asr_dro_plugin.stack.espnet_search import search_fault, search_options
from asr_dro_plugin.text.languages import Language


@dataclass(frozen=True)
class Run:
    """All that a card is written from.

    ``reports`` are scores, the one that the card speaks of first, and ``decodings`` the decoding of
    each; ``corpora`` and ``languages`` are the recipe's tables; ``pretrained`` names a checkpoint
    that training began from.
    """

    name: str
    config: Mapping
    model_file: str
    num_parameters: int
    langs: Sequence[str]
    training: Mapping
    cells: Sequence[Cell]
    reports: Sequence[Mapping]
    versions: Sequence[Mapping[str, str]]
    licence: str = UNKNOWN
    corpora: Sequence[CorpusLicence] = ()
    languages: Mapping[str, Language] = field(default_factory=dict)
    pretrained: tuple[str, str] | None = None  # name and licence
    decode_options: str = ""  # of asr-dro transcribe, for what else is packed
    decodings: Sequence[str] = ()
    use: Sequence[str] = ()  # how it is used, in Markdown; by default as a packed model
    sections: Mapping[str, Sequence[str]] = field(default_factory=dict)  # title -> lines, after it

    @property
    def titles(self) -> list[str]:
        """What each report is of: its set, and its decoding where there are several."""
        sets = [report["set"] for report in self.reports]
        if len(set(self.decodings)) < 2:
            return sets
        names = short_names(list(dict.fromkeys(self.decodings)))
        short = dict(zip(dict.fromkeys(self.decodings), names))
        return [f"{name}, decoded by {short[tag]}" for name, tag in zip(sets, self.decodings)]


def write_card(run: Run) -> str:
    """The whole file."""
    first = run.reports[0] if run.reports else None
    sections = {
        "": _what_it_is(run),
        "Results": _results(run),
        "Use": run.use or _use(run),
        **run.sections,
        "Training data": _data(run),
        "Training": _training(run),
        "Limits": [f"- {line}" for line in limits(run.langs, run.cells, first, run.config)],
        "Licence": _licence(run),
        "Citation": [CITATION],
    }
    lines = [front_matter(run.name, run.langs, run.licence, run.reports, run.titles),
             f"# {run.name}", ""]  # fmt: skip
    for title, body in sections.items():
        lines += ([f"## {title}", ""] if title else []) + [*body, ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown; the first column left, the others right."""
    marks = [":--"] + ["--:"] * (len(header) - 1)
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return [f"| {' | '.join(row)} |" for row in (header, marks, *escaped)]


def _what_it_is(run: Run) -> list[str]:
    known = run.languages
    names = [f"{known[lang].name} ({lang})" if lang in known else lang for lang in run.langs]
    what = f"Speech recognition in {len(names)} languages: {', '.join(names)}."
    if len(names) == 1:
        what = f"Speech recognition in {names[0]}."
    elif not names:
        what = "Speech recognition."
    method = run.config.get("objective") or "ctc"
    method = OBJECTIVES[method].words if method in OBJECTIVES else method
    tokens, tag = run.config.get("token_list") or (), ""
    if run.langs and f"[{run.langs[0]}]" in tokens:
        tag = f" It writes the language's tag first (`[{run.langs[0]}] …`)."
    made = f"trained with {method}, by asr-dro on ESPnet"
    if "imported" in run.training:
        made = "trained elsewhere and imported by asr-dro"
    lines = [
        f"{what} The network ({stack_of(run.config)}, {run.num_parameters / 1e6:.1f} million "
        f"parameters) was {made}.{tag}"
    ]
    if run.reports:
        lines += ["", _worst(run.reports[0], run.titles[0])]
    return lines


def _worst(report: Mapping, title: str) -> str:
    name, group = worst_of(report)
    worst = _with_interval(rate_of(group, "cer"), interval_of(group, "cer"))
    macro = _with_interval(report["macro"]["cer"], macro_interval(report, "cer"))
    return (
        f"**The worst language is {name}: CER {worst}** on {title}; the mean over its "
        f"{len(report['groups'])} languages is {macro}."
    )


def _with_interval(rate: float, interval: tuple[float, float] | None) -> str:
    return f"{percent(rate)} %" + (f" (95 %: {_interval(interval)})" if interval else "")


def _interval(interval: tuple[float, float] | None) -> str:
    return f"{percent(interval[0])} to {percent(interval[1])}" if interval else "-"


def _results(run: Run) -> list[str]:
    if not run.reports:
        return ["No set was scored with this model."]
    lines = [
        "Error rates in % with their 95 % confidence intervals, where they were counted. CER:",
        "characters, WER: words, LID: languages recognised right. `total` pools all text, `mean`",
        "is over languages.",
    ]
    for report, title in zip(run.reports, run.titles):
        rows = [_row(name, group) for name, group in sorted(report["groups"].items())]
        macro = report["macro"]
        figures = [percent(macro.get("cer")), _interval(macro_interval(report, "cer"))]
        figures += [percent(macro.get("wer")), _interval(macro_interval(report, "wer"))]
        rows.append(["mean", "", "", *figures, percent(macro.get("lid"))])
        rows.append(_row("total", report["total"]))
        lines += ["", f"### {title}", ""]
        header = ["language", "utterances", "minutes", "CER", "95 %", "WER", "95 %", "LID"]
        lines += table(header, rows)
        lines += ["", f"Text was normalised by `{report['normalizer']}` first.", *_left_out(report)]
    return lines


def _row(name: str, group: Mapping) -> list[str]:
    minutes = f"{group['duration'] / 60:.1f}" if group.get("duration") is not None else "-"
    cells = [name, str(group["num_utts"]), minutes]
    for metric in ("cer", "wer"):
        cells += [percent(rate_of(group, metric)), _interval(interval_of(group, metric))]
    return [*cells, percent(rate_of(group, "lid"))]


def _left_out(report: Mapping) -> list[str]:
    counts = {key: report[key]["count"] for key in ("missing", "extra")}
    return [f"{count} hypotheses were {key}." for key, count in counts.items() if count]


def _use(run: Run) -> list[str]:
    return [
        "With asr-dro, which also verifies every file:",
        "",
        "```bash",
        f"asr-dro unpack {run.name}.zip --out {run.name}",
        f"asr-dro transcribe audio.wav --exp {run.name}{run.decode_options}",
        "```",
        "",
        *_use_by_espnet(run),
    ]


def _use_by_espnet(run: Run) -> list[str]:
    if fault := search_fault(run.config, run.config["token_list"]):
        return [fault]
    given = ", ".join(filter(None, [f'"{run.name}.zip"', search_options(run.config)]))
    return [
        "With ESPnet and `espnet_model_zoo`, from the archive or from the hub (`user/model`); the",
        "audio must be mono, 16 kHz:",
        "",
        "```python",
        "import soundfile",
        "import asr_dro_plugin.espnet  # makes the network known to ESPnet",
        "from espnet2.bin.asr_inference import Speech2Text",
        "",
        f"speech2text = Speech2Text.from_pretrained({given})",
        'speech, rate = soundfile.read("audio.wav", dtype="float32")',
        "print(speech2text(speech)[0][0])",
        "```",
    ]


def _data(run: Run) -> list[str]:
    seen = {(row["group"], row["corpus"]): row for row in run.training["seen"]}
    if imported := run.training.get("imported"):
        return _imported(imported)
    if not run.cells and not seen:
        return ["The run does not say what it was trained on."]
    lines = []
    if run.cells:
        header = ["language", "corpus", "licence", "utterances", "hours", "speakers"]
        rows = [
            [cell.lang, cell.corpus, find(cell.corpus, cell.lang, run.corpora).licence,
             str(cell.utterances), f"{cell.seconds / 3600:.2f}", str(cell.speakers or "-")]
            for cell in run.cells
        ]  # fmt: skip
        total = sum(cell.seconds for cell in run.cells) / 3600
        lines = [f"{total:.2f} hours of transcribed speech:", "", *table(header, rows), ""]
    if seen:
        lines += _seen(run)
    return lines


def _imported(card: Mapping) -> list[str]:
    """Corpora and settings as the system tells them that the model was imported from."""
    lines = ["As the card of the system says that the model was imported from."]
    if card.get("corpora"):
        header = ["corpus", "hours", "hours in the mix", "factor", "least hours"]
        keys = ("hours", "hours_in_mix", "factor", "min_hours")
        cells = [[row.get(key) for key in keys] for row in card["corpora"]]
        rows = [
            [row["name"], *("-" if cell is None else f"{cell:.5g}" for cell in line)]
            for row, line in zip(card["corpora"], cells)
        ]
        lines += ["", *table(header, rows)]
    if "hours_seen" in card:
        lines += ["", f"Training passed over {card['hours_seen']:.1f} hours, repeats included."]
    rest = {key: value for key, value in card.items() if key not in ("corpora", "hours_seen")}
    return [*lines, "", *table(["setting", "value"], [[k, str(v)] for k, v in rest.items()])]


def _seen(run: Run) -> list[str]:
    rows = [
        [row["group"], _corpus_of(row),
         str(row["utterances"]), f"{row['seconds'] / 3600:.2f}"]
        for row in run.training["seen"]
    ]  # fmt: skip
    hours = f"{run.training['seconds_seen'] / 3600:.2f}"
    rows.append(["total", "", str(run.training["items_seen"]), hours])
    header = ["group", "corpus", "utterances seen", "hours seen"]
    return ["What training passed over, repetitions included:", "", *table(header, rows)]


def _corpus_of(seen: Mapping) -> str:
    return UNKNOWN if seen["corpus"] == NOT_NAMED else seen["corpus"]


def _training(run: Run) -> list[str]:
    hidden = ("config", "model", "ngpu")
    rows = [[name, value] for name, value in settings_of(run.config) if name not in hidden]
    for key in ("epochs", "updates"):
        if run.training.get(key):
            rows.append([f"{key} trained", str(run.training[key])])
    rows.append(["parameters and buffers", f"{run.num_parameters:,}"])
    rows.append(["model file", run.model_file])
    lines = ["| setting | value |", "| :-- | :-- |"]
    lines += [f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows]
    machine = machine_line(run.versions)
    where = f" Computed on: {machine}." if machine else ""
    return [*lines, "", f"Trained with {versions_line(run.versions)}.{where}"]


def _licence(run: Run) -> list[str]:
    if run.licence == UNKNOWN:
        lines = ["The licence of the model was not stated when it was packed."]
    else:
        lines = [f"The model: {run.licence}."]
    if run.pretrained:
        name, licence = run.pretrained
        lines.append(f"Training began from {name} ({licence}).")
    keys = {(c.corpus, c.lang) for c in run.cells} or {
        (_corpus_of(row), row["group"]) for row in run.training["seen"]
    }  # fmt: skip
    sources: dict[tuple[str, str, str], list[str]] = {}
    for corpus, lang in sorted(keys):
        row = find(corpus, lang, run.corpora)
        sources.setdefault((corpus, row.licence, row.source), []).append(lang)
    if sources:
        lines += ["The speech it was trained on:", ""]
    for (corpus, licence, source), langs in sorted(sources.items()):
        where = f", {source}" if source else ""
        lines.append(f"- {corpus} ({', '.join(langs)}): {licence}{where}")
    return lines
