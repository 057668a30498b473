"""A sign of life before what takes long: importing PyTorch and ESPnet, building a model."""

import sys


def say_loading(what: str) -> None:
    """One line on stderr, at once, saying what is being loaded.

    Nothing where ESPnet is there already: then there is nothing to wait for.
    """
    if "asr_dro_plugin.espnet" not in sys.modules:
        words = f"Loading PyTorch, ESPnet and {what}: seconds, on a busy machine half a minute."
        print(words, file=sys.stderr, flush=True)
