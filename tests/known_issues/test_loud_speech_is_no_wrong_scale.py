"""A voice recorded too loud, whose coded waveform overshoots full scale by a fifth in a tenth of
its samples (the Spanish pictures of corpus debian), was dropped as a file of a wrong scale."""

import numpy as np
import pytest

from asr_dro_plugin.audio.files import AudioError
from asr_dro_plugin.data.dump import to_pcm
from asr_dro_plugin.data.wav_scp import Item
from tests.sounds import noise


def test_overdriven_speech_is_clipped_and_kept():
    samples = np.clip(noise(1.0) * 16, -1.25, 1.25)
    assert (abs(samples) > 1).mean() > 0.15
    pcm, num_clipped = to_pcm(Item("a", "a.ogg"), samples, 16000, 16000)
    assert num_clipped > 0.1 * len(pcm) and pcm.max() == 32767


@pytest.mark.parametrize("factor", [60, 32768])
def test_a_wrong_scale_is_refused_as_before(factor):
    with pytest.raises(AudioError) as refused:
        to_pcm(Item("a", "a.wav"), noise(1.0) * factor, 16000, 16000)
    assert refused.value.reason == "samples far beyond full scale"
