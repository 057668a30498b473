"""Frontend ``log_mel``: ``features.log_mel`` with all its settings."""

from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.stack.components.component import Chosen, Component
from asr_dro_plugin.stack.components.rules import STATISTICS, Step, View


def _frames(chosen: Chosen) -> Step:
    settings = LogMelSettings.from_dict(chosen.conf)
    return Step(chosen.label, settings.hop_length, settings.num_frames)


def _view(chosen: Chosen) -> View:
    settings = LogMelSettings.from_dict(chosen.conf)
    before = [(2, 1)] if settings.preemphasis else []
    return View(
        [*before, (settings.win_length, settings.hop_length)],
        "" if settings.normalize == "none" else STATISTICS,
    )


LOG_MEL = Component(
    path="asr_dro_plugin.espnet.parts.frontends:LogMelFrontend",
    plain="asr_dro_plugin.features.settings:LogMelSettings",
    size=lambda chosen: chosen["n_mels"],
    frames=_frames,
    view=_view,
    no_parameters=True,
)
