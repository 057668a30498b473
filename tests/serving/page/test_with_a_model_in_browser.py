"""The page over a service with a model of its own: nothing between browser and graph stands in."""

import numpy as np
import pytest
import soundfile

from tests.tone_export import tones_of

DONE = "/ (done|failed)/.test(document.querySelector('.job')?.className)"
WORDS = "[...document.querySelectorAll('[data-w]')].map((e) => e.textContent)"


@pytest.fixture
def page(chromium, tone_service):
    chromium.events.clear()
    chromium.open(tone_service)
    chromium.until("!document.getElementById('language-field').hidden")
    return chromium


def test_a_recording_in_stereo_at_48_khz_becomes_its_words(page, tmp_path):
    samples = tones_of("Eabc deaf hed", 48000)
    soundfile.write(tmp_path / "tones.flac", np.stack([samples] * 2, 1), 48000)
    page.choose("#files", tmp_path / "tones.flac")
    page.until(DONE)
    assert page.value(WORDS) == ["abc", "deaf", "hed"]
    assert page.value("document.getElementById('facts').innerText").startswith("English · 0:03 · ")
    page.value("document.querySelector(\"[data-w='1']\").focus()")
    page.value("document.querySelector(\"[data-w='1']\").click()")
    start = page.value("document.getElementById('audio').currentTime")
    assert start == pytest.approx(0.16 + 5 * 0.24, abs=0.15)  # after a pause, a tag and four tones
    assert page.complaints() == []


def test_a_language_that_is_chosen_is_the_transcripts(page, tmp_path):
    soundfile.write(tmp_path / "tones.wav", tones_of("abc de"), 16000)
    page.value("document.getElementById('language').value = 'fra'")
    page.choose("#files", tmp_path / "tones.wav")
    page.until(DONE)
    assert page.value(WORDS) == ["abc", "de"]
    assert page.value("document.getElementById('facts').innerText").startswith("French")


def test_what_is_no_recording_is_refused_in_the_services_words(page, tmp_path):
    path = tmp_path / "noise.wav"
    path.write_bytes(np.random.default_rng(0).bytes(3000))
    page.choose("#files", path)
    page.until(DONE)
    told = page.value("document.querySelector('.job .state').innerText")
    assert told.startswith("The recording cannot be decoded")
    assert str(tmp_path) not in told
