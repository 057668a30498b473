"""The front matter of a model card: YAML that Hugging Face's hub reads.

https://huggingface.co/docs/hub/model-cards: ISO 639 codes, licence identifiers, and ``model-index``
(metrics with the data they were measured on).
"""

import re
from collections.abc import Mapping, Sequence

import yaml

from asr_dro_plugin.reporting.read.score_files import rate_of

# Licence identifiers of the hub that a model or corpus here may have.
HUB_LICENCES = {
    "apache-2.0", "mit", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0",
    "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "mpl-2.0", "odc-by", "other", "unknown",
}  # fmt: skip
NAMES = {"cer": "CER", "wer": "WER"}
CITATION = """\
```bibtex
@article{bartelds2025ctcdro,
  title   = {{CTC-DRO}: Robust Optimization for Reducing Language Disparities in Speech
             Recognition},
  author  = {Bartelds, Martijn and Nandi, Ananjan and Doumbouya, Moussa Koulako Bala and
             Jurafsky, Dan and Hashimoto, Tatsunori and Livescu, Karen},
  journal = {arXiv preprint arXiv:2502.01777},
  year    = {2025}
}
@inproceedings{watanabe2018espnet,
  title     = {{ESPnet}: End-to-End Speech Processing Toolkit},
  author    = {Watanabe, Shinji and Hori, Takaaki and Karita, Shigeki and Hayashi, Tomoki and
               Nishitoba, Jiro and Unno, Yuya and Enrique Yalta Soplin, Nelson and
               Heymann, Jahn and Wiesner, Matthew and Chen, Nanxin and Renduchintala, Adithya and
               Ochiai, Tsubasa},
  booktitle = {Proceedings of Interspeech},
  pages     = {2207--2211},
  year      = {2018}
}
```"""


def front_matter(
    name: str, langs: Sequence[str], licence: str, reports: Sequence[Mapping], titles: Sequence[str]
) -> str:  # fmt: skip
    """The block between the two lines of dashes, and those.

    ``langs`` are ISO 639-3 codes, ``licence`` is the model's as the user wrote it, ``titles`` say
    what each of the scores ``reports`` is of.
    """
    data = {
        **({"language": list(langs)} if langs else {}),
        **_licence(licence),
        "library_name": "espnet",
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["espnet", "asr-dro", "audio", "automatic-speech-recognition", "ctc"]
        + (["multilingual"] if len(langs) > 1 else []),
        "metrics": ["cer", "wer"],
    }
    if reports:
        results = [_result(report, title) for report, title in zip(reports, titles)]
        data["model-index"] = [{"name": name, "results": results}]
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---\n"


def _licence(licence: str) -> dict[str, str]:
    word = re.sub(r"\s+", "-", licence.strip().lower())
    if word in HUB_LICENCES:
        return {"license": word}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", word).strip("-")}


def _result(report: Mapping, title: str) -> dict:
    """One set: errors over all languages, the mean over languages, and the worst language's."""
    metrics = []
    for metric, word in NAMES.items():
        figures = {
            word: rate_of(report["total"], metric),
            f"{word}, mean over languages": report["macro"].get(metric),
            f"{word}, worst language": (report["worst_group"].get(metric) or {}).get("rate"),
        }
        metrics += [
            {"type": metric, "value": round(100 * value, 2), "name": title}
            for title, value in figures.items()
            if value is not None
        ]
    task = {"type": "automatic-speech-recognition", "name": "Speech recognition"}
    dataset = {"name": title, "type": report["set"]}
    return {"task": task, "dataset": dataset, "metrics": metrics}
