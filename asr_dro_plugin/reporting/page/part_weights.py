"""Weights of the language model by language, against those that are the same for all."""

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import (
    SWIPE,
    Material,
    cell,
    one_of_several,
    section,
    table,
)
from asr_dro_plugin.reporting.read.tuning import Tuning, read_tuning, tuning_paths
from asr_dro_plugin.reporting.results_md import WEIGHTS_HEADER, weights_lines, weights_rows

LEAD = (
    "A language gets weights of its own where it has enough text on the development set and the "
    "gain holds on utterances that were not used to choose them; the last column says why the "
    "others keep the joint ones. Utterances, characters and what is held out are counted by the "
    "language that the model decided on, the CER by what was spoken."
)
MEANINGS = {
    "alpha": "lm_weight: of the language model's natural logarithm",
    "beta": "word_score: added for each unit of the language model",
    "blank penalty": "blank_penalty: natural logs taken from the blank in every frame",
}


def weights_part(material: Material) -> Markup | None:
    """A block for each decoding whose weights were found by language; None where there is none."""
    blocks = []
    for experiment in material.experiments:
        for path in tuning_paths(experiment.path):
            tuning = experiment.attempt(lambda path=path: read_tuning(path))
            if tuning is not None:
                several = f"{experiment.name}, " if len(material.experiments) > 1 else ""
                blocks.append((several + path.parent.name, _block(material, tuning)))
    if not blocks:
        return None
    title = "Does each language want its own language model weights?"
    return section("weights", title, LEAD, one_of_several("weights", "Decoding", blocks))


def _block(material: Material, tuning: Tuning) -> Markup:
    heads = [(name, MEANINGS[name]) if name in MEANINGS else name for name in WEIGHTS_HEADER]
    rows = [
        [material.language_cell(lang), *map(cell, rest)] for lang, *rest in weights_rows(tuning)
    ]
    words = [line.removeprefix("- ") for line in weights_lines(tuning)]
    caption = f"Weights of the language model by language, found on {tuning.set_name}"
    return el(
        "div", el("ul", [el("li", each) for each in words]), SWIPE,
        table(heads, rows, caption, sort=True), class_="languages",
    )  # fmt: skip
