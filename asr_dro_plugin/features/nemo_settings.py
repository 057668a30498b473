"""The ``preprocessor`` of a NeMo model's YAML in our words; defaults are NeMo's."""

import logging
import math
from collections.abc import Mapping

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features import SAMPLE_RATE

NEMO_CLASS = "AudioToMelSpectrogramPreprocessor"
# Setting -> the one value under which it changes nothing.
NEMO_FIXED = {
    "frame_splicing": 1, "exact_pad": False, "stft_exact_pad": False, "pad_value": 0,
    "use_torchaudio": False,
}  # fmt: skip
# Names for the same features, or what only a batch's layout and training's noise depend on.
NEMO_IGNORED = {
    "_target_", "cls", "params", "pad_to", "rng", "stft_conv", "nb_augmentation_prob",
    "nb_max_freq", "device",
}  # fmt: skip
NEMO_NAMES = {
    "sample_rate": "sample_rate", "features": "n_mels", "n_fft": "n_fft", "window": "window",
    "preemph": "preemphasis", "lowfreq": "f_min", "highfreq": "f_max", "dither": "dither",
    "mag_power": "power", "normalize": "normalize", "mel_norm": "mel_norm",
    "log_zero_guard_type": "log", "log_zero_guard_value": "log_guard",
}  # fmt: skip
NEMO_OWN = {"log", "window_size", "window_stride", "n_window_size", "n_window_stride"}
NEMO_GUARDS = {"tiny": 2.0**-126, "eps": 2.0**-23}  # of float32


def settings_from_nemo(preprocessor: Mapping) -> dict:
    """Arguments of ``LogMelSettings``.

    Raises:
        UserError: another kind of preprocessor, or a setting that we do not compute.
        TypeError, ValueError, OverflowError: a value that is none.
    """
    given = {**preprocessor, **(preprocessor.get("params") or {})}  # nested in the first releases
    _check_nemo(given)
    out = {ours: given[name] for name, ours in NEMO_NAMES.items() if name in given}
    rate = out.get("sample_rate", SAMPLE_RATE)
    out["win_length"] = given.get("n_window_size") or round(given.get("window_size", 0.02) * rate)
    out["hop_length"] = given.get("n_window_stride") or round(
        given.get("window_stride", 0.01) * rate
    )
    if out.get("n_fft") is None:
        out["n_fft"] = 2 ** math.ceil(math.log2(out["win_length"]))
    for name, nothing in (("window", "ones"), ("normalize", "none"), ("mel_norm", "none")):
        if name in out and str(out[name]).lower() in ("none", "na"):
            out[name] = nothing
    guard = out.get("log_guard", 2.0**-24)
    out["log_guard"] = NEMO_GUARDS[guard] if guard in NEMO_GUARDS else float(guard)
    out["preemphasis"] = out.get("preemphasis", 0.97) or 0.0
    if not given.get("log", True):
        out["log"] = "none"
    return out


def _check_nemo(given: Mapping) -> None:
    kind = str(given.get("_target_") or given.get("cls") or NEMO_CLASS)
    if kind.rsplit(".", 1)[-1] != NEMO_CLASS:
        raise UserError(f"preprocessor {kind} is not supported. Legal: {NEMO_CLASS}.")
    for name, legal in NEMO_FIXED.items():
        if given.get(name, legal) != legal:
            raise UserError(
                f"preprocessor.{name} is {given[name]}, which is not supported. Legal: {legal}."
            )
    known = NEMO_IGNORED | NEMO_OWN | set(NEMO_FIXED) | set(NEMO_NAMES)
    if unknown := sorted(set(given) - known):
        raise UserError(f"preprocessor.{unknown[0]} is no setting of {NEMO_CLASS} that is known.")
    if not isinstance(given.get("normalize"), str | None):
        raise UserError("preprocessor.normalize holds fixed means, which are not supported.")
    if given.get("nb_augmentation_prob"):
        logging.warning("preprocessor.nb_augmentation_prob is ignored: it changes training only.")
