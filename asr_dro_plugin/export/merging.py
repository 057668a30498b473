"""A model with adapters as one without: LoRA's matrices added to the weights that they adapt."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.adapter_settings import uses_adapter

PLAIN = {"use_adapter": False, "adapter_conf": {}, "save_strategy": "all"}


@contextlib.contextmanager
def merged(exp: str | os.PathLike, model_file: str, config: Mapping) -> Iterator[tuple[Path, dict]]:
    """(model file, configuration) of the merged model, which is there as long as the block.

    Args:
        exp, model_file: a trained experiment with adapters, whole or beside their base.
        config: its configuration.

    Raises:
        UserError: no adapters, or such as cannot be merged.
    """
    if not uses_adapter(config):
        raise UserError(f"{exp} has no adapters to merge. Leave --merge_adapters out.")
    import torch

    from asr_dro_plugin.espnet.decode.inference import load_recogniser
    from asr_dro_plugin.espnet.start.adapters import merge_adapters

    model = load_recogniser(exp, model_file, needs_ctc=False).model
    merge_adapters(model)
    with tempfile.TemporaryDirectory(prefix="asr_dro.") as folder:
        path = Path(folder, Path(model_file).name)
        torch.save(model.state_dict(), path)
        yield path, {**config, **PLAIN}
