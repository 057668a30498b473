"""What ESPnet's own asr.sh says to a training, as our task takes it.

It always sends ``--fold_length`` and ``--frontend_conf fs=16k``, and knows nothing of groups.
"""

import argparse
import logging
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.stack.training_rules import plans_batches


def adapt(args: argparse.Namespace) -> None:
    """Leave out what has no effect, with a warning, and add the files of groups.

    Raises:
        UserError: the training needs groups, and ``asr-dro groups`` has not made them.
    """
    if plans_batches(vars(args)) and args.fold_length:
        logging.warning("--fold_length is ignored: sampler %s makes the batches.", args.sampler)
        args.fold_length = []
    if component_of(vars(args), "frontend") is None and args.frontend_conf:
        logging.warning("--frontend_conf is ignored: frontend is none.")
        args.frontend_conf = {}
    given = args.groups or any(name == "group_ids" for _, name, _ in data_of(args, "train"))
    if args.model == "dro" and not args.collect_stats and not given:
        _add_groups(args)


def data_of(args: argparse.Namespace, part: str) -> list[tuple[str, str, str]]:
    """(path, name, type) of the inputs of ``train`` or ``valid``."""
    return getattr(args, f"{part}_data_path_and_name_and_type")


def _add_groups(args: argparse.Namespace) -> None:
    """``utt2group`` of both sets and ``groups.txt`` of the first: beside wav.scp, or in data/."""
    speech = {
        part: Path(next(path for path, name, _ in data_of(args, part) if name == "speech")).parent
        for part in ("train", "valid")
    }
    found = {part: _with_groups(folder) for part, folder in speech.items()}
    if None in found.values():
        if args.objective in (None, "ctc") and not plans_batches(vars(args)):
            return  # every utterance counts alike
        names = " ".join(str(folder) for folder in speech.values())
        raise UserError(
            f"The groups of {names} are not made, which objective {args.objective} and the "
            f"sampler need. Make them: asr-dro groups {names}"
        )
    for part, folder in found.items():
        data_of(args, part).append((str(folder / "utt2group"), "group_ids", "text_int"))
    args.groups = str(found["train"] / "groups.txt")


def _with_groups(folder: Path) -> Path | None:
    """Where the groups of dump/raw/NAME are: there, or in data/NAME."""
    places = (folder, Path("data", folder.name))
    return next((place for place in places if (place / "utt2group").is_file()), None)
