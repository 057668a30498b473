"""Recording with a microphone that plays a file: what the service gets, and when there is none."""

import numpy as np
import pytest
import soundfile

from tests.browser import Browser, find_browser
from tests.tone_export import tones_of

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")
STATE = "document.querySelector('.job')?.className"
VISIBLE = "document.getElementById({!r}).checkVisibility()"


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """A page with a microphone that hears "abc deaf" in tones, then silence."""
    path = tmp_path_factory.mktemp("microphone") / "tones.wav"
    silence = np.zeros(48000, np.float32)
    sound = np.concatenate([silence[:12000], tones_of("abc deaf", 48000), *[silence] * 9])
    soundfile.write(path, sound, 48000)
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
             "--autoplay-policy=no-user-gesture-required",
             f"--use-file-for-fake-audio-capture={path}")  # fmt: skip
    with Browser(flags=flags) as browser:
        yield browser


# What the page is given by the microphone, for a test to look at.
HEARD = """{
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (...all) {
    return (window.heard = await ask.apply(this, all));
  };
}"""


def start(browser, address):
    browser.open(address)
    browser.value(HEARD)
    browser.until("!document.getElementById('language-field').hidden")
    browser.value("document.getElementById('record').click()")
    browser.until(VISIBLE.format("stop"))


def test_what_a_microphone_hears_becomes_words_that_can_be_heard(speaker, tone_service):
    start(speaker, tone_service)
    assert speaker.value("document.activeElement.id") == "stop"
    speaker.until("document.getElementById('level').value > 0.5")
    speaker.until("document.getElementById('recorded').innerText === '0:03'")
    speaker.value("document.getElementById('stop').click()")
    speaker.until(f"{STATE} === 'job done'")
    words = "[...document.querySelectorAll('[data-w]')].map((e) => e.textContent)"
    assert speaker.value(words) == ["abc", "deaf"]
    name = speaker.value("document.getElementById('result-title').innerText")
    assert name.startswith("Recording 20")
    assert name.endswith(".webm")
    # The browser's own recording has no length in its header; it is found, and words can be heard.
    speaker.until("document.getElementById('audio').duration < 10")
    speaker.value("document.querySelector(\"[data-w='1']\").click()")
    speaker.until("document.querySelector('.now')?.textContent === 'deaf'")
    assert not speaker.value("document.getElementById('audio').paused")
    assert speaker.complaints() == []


def test_what_is_discarded_is_not_sent_and_the_microphone_is_let_go(speaker, address, pool):
    pool.reset()
    start(speaker, address)
    assert speaker.value("heard.active")
    speaker.value("document.getElementById('discard').click()")
    speaker.until(VISIBLE.format("record"))
    assert not speaker.value("heard.active")
    assert speaker.value("document.querySelectorAll('.job').length") == 0
    assert speaker.value("document.activeElement.id") == "record"
    assert pool.jobs == []


def test_where_the_browser_forbids_the_microphone_the_page_says_what_it_needs(page, address):
    page.open(address.replace("127.0.0.1", "transcribe.test"))
    assert not page.value("isSecureContext")
    told = page.value("document.getElementById('microphone').innerText")
    assert told.startswith("Recording needs an https:// address, or http://localhost")
    assert page.value("document.getElementById('record').getAttribute('aria-disabled')") == "true"
    page.value("document.getElementById('record').click()")
    assert not page.value(VISIBLE.format("stop"))


def test_a_microphone_that_is_refused_is_explained(page):
    page.ask("Browser.setPermission", permission={"name": "microphone"}, setting="denied")
    page.value("document.getElementById('record').click()")
    page.until(VISIBLE.format("microphone"))
    told = page.value("document.getElementById('microphone').innerText")
    assert told.startswith(("The microphone is blocked for this page.", "This device has no micro"))
