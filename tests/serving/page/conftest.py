"""One browser and one service for all tests of the page; each test begins with a fresh page."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.browser import Browser, find_browser
from tests.serving.page.scripted import ScriptedPool, served
from tests.tone_export import write_tone_export

# The sound may be played without a click; a host that no browser takes for this machine.
FLAGS = (
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP transcribe.test 127.0.0.1",
)
COUNTED = """
  window.sounds = new Set();
  const [make, free] = [URL.createObjectURL, URL.revokeObjectURL];
  URL.createObjectURL = (it) => { const url = make(it); sounds.add(url); return url; };
  URL.revokeObjectURL = (url) => { sounds.delete(url); free(url); };
"""
CLOSE = """
  for (const button of document.querySelectorAll('.job button')) {
    if (button.textContent === 'Cancel') button.click();
  }
"""

SERVE = (sys.executable, "-m", "asr_dro_plugin.bin.main", "serve", "--port", "0", "--workers", "1")


@pytest.fixture(scope="session")
def pool():
    return ScriptedPool()


@pytest.fixture(scope="session")
def address(pool):
    with served(pool, max_upload_mb=40, max_seconds=60) as url:
        yield url


@pytest.fixture(scope="session")
def chromium():
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    with Browser(flags=FLAGS) as browser:
        browser.ask("Page.addScriptToEvaluateOnNewDocument", source=COUNTED)
        yield browser


@pytest.fixture
def page(chromium, address, pool):
    """The page, with nothing done yet."""
    pool.reset()
    chromium.events.clear()
    chromium.open(address)
    chromium.until("!document.getElementById('language-field').hidden")
    yield chromium
    chromium.value(CLOSE)


@pytest.fixture(scope="session")
def talk(tmp_path_factory):
    """Three seconds of a tone, as a file that a browser plays."""
    path = tmp_path_factory.mktemp("sounds") / "talk of today.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(48000) * 0.1), 16000)
    return path


@pytest.fixture(scope="session")
def tone_service(tmp_path_factory):
    """A service of a model that hears tones as letters."""
    folder = write_tone_export(tmp_path_factory.mktemp("model") / "tones")
    with subprocess.Popen([*SERVE, str(folder)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        try:
            url = process.stdout.readline().split()[2]
            assert "ready" in process.stdout.readline()
            yield f"{url}/"
        finally:
            process.terminate()
