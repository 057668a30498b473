"""libsndfile gave the first read of an Opus file 6.5 ms late: its pre-skip was taken for sound."""

import numpy as np

from asr_dro_plugin.audio.files import read
from tests.sounds import encode, noise


def test_an_opus_file_begins_where_its_sound_begins(tmp_path):
    import av

    path = encode(tmp_path / "a.opus", noise(30, 48000), 48000, "libopus")
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    np.testing.assert_allclose(read(path)[0], np.concatenate(wanted), atol=1e-6)
