"""The stack of a configuration: check it, fill in its sizes, count its frames and parameters.

The parts are in ``config_files`` (reading), ``stack_check`` and ``stack_rules`` (is it legal),
``stack_sizes`` (what fits), ``frames`` (how many frames CTC sees) and ``stack_summary`` (what a
plan prints); this is the one place to import them from.
"""

from asr_dro_plugin.config_files import load_config
from asr_dro_plugin.frames import FrameCounter, frame_counter
from asr_dro_plugin.stack_check import check_config, check_inference_config
from asr_dro_plugin.stack_sizes import resolve
from asr_dro_plugin.stack_summary import Slot, describe

__all__ = [
    "FrameCounter",
    "Slot",
    "check_config",
    "check_inference_config",
    "describe",
    "frame_counter",
    "load_config",
    "resolve",
]
