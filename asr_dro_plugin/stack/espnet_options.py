"""Options of ASR training and of ESPnet's search, ESPnet's and ours: kind, default, legal words.

ESPnet's are read from ``espnet_tables.json``, which ``tools/make_espnet_tables.py`` writes from its
parsers; ours are here, and ``espnet.task`` adds them to ESPnet's parser.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin import objectives, samplers


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        kind: one of ``base.settings``; a question mark says that the option may be empty.
        default: what it is where a YAML does not have it.
        choices: its legal words; empty where any will do, or where ``names`` has them.
        help: for the command line; empty for ESPnet's, and for the slots, which it adds itself.
    """

    kind: str
    default: object = None
    choices: tuple[str, ...] = ()
    help: str = ""


TABLES = json.loads(Path(__file__).with_name("espnet_tables.json").read_text(encoding="utf-8"))
TRACKERS = ("tensorboard", "wandb", "comet", "mlflow")

OURS = {
    "ssl_checkpoint": Option("str?", help="Pretrained model for the stack: a name in "
        "local/ssl_checkpoints.tsv, a path, or org/name of the Hugging Face hub"),
    "groups": Option("str?", help="File with the sorted names of the groups, one a line (stage 10 "
        "writes it)"),
    "aux_token_list": Option("str?", help="File with the units of text_aux, one a line, for "
        "model_conf.aux_ctc (stage 5 writes it with --aux_text)"),
    "init_exp": Option("str?", help="Experiment directory or model file to continue from"),
    "extend_groups": Option("bool", False, help="Allow groups and tokens that the experiment of "
        "--init_exp does not know"),
    "freeze_cnn": Option("bool", False, help="Freeze the convolutional feature extractor of the "
        "pretrained model"),
    "feature_grad_mult": Option("float?", help="Factor on the gradient of that feature extractor: "
        "0 freezes it, 1 changes nothing"),
    "freeze_finetune_updates": Option("int", 0, help="Train all but the pretrained model for so "
        "many optimizer updates"),
    "save_interval_steps": Option("int", 0, help="Save a checkpoint every so many batches as well "
        "as after each epoch; 0 is after each epoch only"),
    "keep_checkpoints": Option("int", 2, help="Newest checkpoints to keep, at least 2"),
    "max_skipped_steps": Option("int", 20, help="Stop when so many steps in a row had no finite "
        "gradient; 0 never stops"),
    "probe_memory": Option("bool", True, help="Try the longest planned batch before the first "
        "step"),
    "sanity_batches": Option("int", 2, help="Validation batches to try before the first step"),
    "augmentation_examples": Option("int", 2, help="Utterances to show before and after "
        "augmentation, in augmentation/ and the trackers"),
    "augmentation_interval": Option("int", 0, help="Show them again every so many epochs; 0 is "
        "before the first epoch only"),
    "override": Option("bool", False, help="Without --resume: move a run that is in --output_dir "
        "aside instead of refusing to train"),
    "trackers": Option("list", ["tensorboard"], TRACKERS,
        "Where figures, pictures and sounds go beside metrics.jsonl"),
    "tracker_conf": Option("dict", {}, help="Settings by tracker, for example "
        "wandb='{project: dro, mode: online}'"),
    "objective": Option("str?", objectives.DEFAULT),
    "objective_conf": Option("dict", {}),
    "sampler": Option("str?", samplers.DEFAULT),
    "sampler_conf": Option("dict", {}),
}  # fmt: skip


def _espnets(parser: str) -> dict[str, Option]:
    return {
        name: Option(facts["kind"], facts["default"], tuple(facts.get("choices", ())))
        for name, facts in TABLES[parser].items()
    }


TRAIN = {
    **_espnets("train"),
    "frontend": Option("str?", "default"),  # ESPnet itself refuses none; our task takes it
    **OURS,
}
INFERENCE = {
    **_espnets("inference"),
    "transducer_conf": Option("dict?"),  # its parser has no type for it
    "mode": Option("str", "greedy", ("greedy", "espnet")),
    "batch_duration": Option("float"),
}
OUR_KEYS = (*OURS, "mode", "batch_duration")
