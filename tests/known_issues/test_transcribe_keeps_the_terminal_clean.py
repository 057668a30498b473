"""``asr-dro transcribe`` showed "Failed to import Flash Attention, using ESPnet default".

ESPnet prints it to stderr while it is imported, which was before anything was kept quiet.
"""

import subprocess
import sys
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_table

ROOT = Path(__file__).resolve().parents[2]


def test_only_the_text_is_printed(trained, dump):
    audio = list(read_table(dump / "test" / "wav.scp").values())[:2]
    command = [sys.executable, "-m", "asr_dro_plugin.bin.main", "transcribe", "--exp", str(trained)]
    done = subprocess.run([*command, *audio], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()  # said at once, for the imports take long
    assert line.startswith(f"Loading PyTorch, ESPnet and {trained}/")
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == audio
