"""The page in a real Chromium, over the service's real routes: what a user does and sees."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.serving.protocol import Failed
from asr_dro_plugin.transcripts import subtitles
from tests.serving.page.scripted import CONFIDENCES, WORDS, said, served, transcript

TEXT = "document.getElementById('transcript').innerText"
STATES = "[...document.querySelectorAll('.job')].map((each) => each.className.split(' ')[1])"
NOW = "document.querySelector('#transcript .now')?.textContent"
FOCUSED = "document.activeElement.textContent"
TIME = "document.getElementById('audio').currentTime"


def send(page, *paths):
    """Choose files and wait until all are finished, one way or another."""
    page.choose("#files", *paths)
    page.until(f"{STATES}.length && {STATES}.every((s) => s === 'done' || s === 'failed')")


def words_shown(page):
    return page.value("[...document.querySelectorAll('[data-w]')].map((e) => e.textContent)")


def press_button(page, text):
    """Click a button by its text."""
    page.value(
        "[...document.querySelectorAll('button')].find((b) => b.textContent.trim() ==="
        f" {json.dumps(text)} && b.checkVisibility()).click()"
    )


def play_slowly(page):
    """A word lasts for as long as a busy machine may take to look at it."""
    page.value("document.getElementById('audio').playbackRate = 0.2")


def state_of(page):
    return page.value("document.querySelector('.job .state').innerText")


# ---- from a recording to its text


def test_it_asks_nothing_of_others_and_its_own_policy_has_nothing_to_object(page, address, talk):
    send(page, talk)
    assert words_shown(page) == WORDS
    assert {url.removeprefix(address) for url in page.requests() if "blob:" not in url} == {
        "", "v1/models", "transcribe",
    }  # fmt: skip
    assert page.complaints() == []


def test_what_is_sent_is_the_recording_and_a_free_choice_of_language(page, pool, talk):
    send(page, talk)
    ((job, recording),) = pool.jobs
    assert recording == talk.read_bytes()
    assert (job.model, job.language) == ("weather", None)


def test_the_text_comes_while_the_service_is_at_work(page, pool, talk):
    pool.stop_after = 1
    page.choose("#files", talk)
    page.until("document.querySelectorAll('[data-w]').length === 5")
    assert words_shown(page) == WORDS[:5]
    assert state_of(page) == "Transcribing, 0:01 of 0:03"
    assert page.value("document.querySelector('progress').value") == pytest.approx(
        1.75 / 3, abs=0.3
    )
    page.value("document.querySelector(\"[data-w='0']\").focus()")
    page.press("ArrowRight")
    pool.stop_after = None
    page.until(f"{STATES}[0] === 'done'")
    assert words_shown(page) == WORDS
    assert page.value(FOCUSED) == WORDS[1]  # who reads along keeps the place


def test_a_recording_without_speech_is_told(page, pool, talk):
    pool.answer = transcript([])
    send(page, talk)
    assert state_of(page) == "No speech was found."
    pool.answer = replace(pool.answer, fault="too short for the model (0.010 s)")
    press_button(page, "Again")
    page.until(f"{STATES}[0] === 'done'")
    told = page.value("document.getElementById('nothing').innerText")
    assert told == "No speech was found: too short for the model (0.010 s)."


def test_it_works_below_a_path_of_a_proxy(page, pool, talk):
    with served(pool, root_path="/asr") as url:
        page.open(url + "asr/")
        page.until("!document.getElementById('language-field').hidden")
        send(page, talk)
    assert words_shown(page) == WORDS


# ---- hearing it


def test_the_word_that_is_heard_is_lit_and_a_click_seeks(page, talk):
    send(page, talk)
    play_slowly(page)
    page.click("[data-w='6']")
    page.until(f"{NOW} === {json.dumps(WORDS[6])}")
    assert page.value(TIME) == pytest.approx(said()[0][6].start, abs=0.3)
    assert page.value(FOCUSED) == WORDS[6]
    page.until(f"{NOW} === {json.dumps(WORDS[7])}")  # it plays on
    page.value("document.getElementById('audio').pause()")


def test_the_keyboard_moves_by_words_and_passages_and_plays(page, pool, talk):
    words = ["one", "two", "three"] * 50
    pool.answer = transcript(words, each=0.001, gap=0.01)
    send(page, talk)
    page.value("document.querySelector('[data-w]').focus()")
    for key, number in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowDown", 120),
                        ("End", 149), ("ArrowUp", 120), ("ArrowUp", 0), ("Home", 0)]:  # fmt: skip
        page.press(key)
        assert page.value("Number(document.activeElement.dataset.w)") == number, key
    assert page.value("document.querySelectorAll('#transcript [tabindex=\"0\"]').length") == 1
    play_slowly(page)
    page.press("End")
    page.press("Enter")
    page.until("!document.getElementById('audio').paused")
    assert page.value(TIME) >= said(words, each=0.001, gap=0.01)[0][149].start - 0.1
    assert page.value("Number(document.activeElement.dataset.w)") == 149
    page.press(" ")
    page.until("document.getElementById('audio').paused")
    assert not page.value("document.getElementById('audio').ended")


def test_uncertain_words_are_underlined_and_can_be_gone_through(page, talk):
    send(page, talk)
    lines = page.value(
        "[...document.querySelectorAll('[data-w]')].map((e) => getComputedStyle(e)"
        ".textDecorationStyle.replace('solid', ''))"
    )
    wanted = ["wavy" if sure < 0.6 else "dotted" if sure < 0.8 else "" for sure in CONFIDENCES]
    assert lines == [wanted[n % 5] for n in range(len(WORDS))]
    for word in ("tomorrow", "be", "with"):
        page.click("#next-unsure")
        assert page.value(FOCUSED) == word
    assert "60 % sure" in page.value("document.activeElement.title")


def test_the_transcript_follows_the_sound_unless_it_is_told_not_to(page, pool, talk):
    pool.answer = transcript(["word"] * 1000, each=0.0005, gap=0.0005)
    top = "document.querySelector(\"[data-w='998']\").getBoundingClientRect().top"
    end = said(["word"] * 1000, each=0.0005, gap=0.0005)[0][998].start
    send(page, talk)
    page.value("document.getElementById('follow').click()")
    page.value(f"document.getElementById('audio').currentTime = {end}")
    page.until(f"{NOW} === 'word'")
    assert page.value(f"{top} > innerHeight")
    page.value("document.getElementById('follow').click()")
    page.value(f"document.getElementById('audio').currentTime = {end - 0.2}")
    page.value(f"document.getElementById('audio').currentTime = {end}")
    page.until(f"{top} < innerHeight")
    page.until(f"{top} > document.getElementById('player').getBoundingClientRect().bottom")


# ---- right to left, and without spaces


def test_arabic_runs_from_right_to_left_and_so_do_its_keys(page, pool, talk):
    pool.answer = transcript(["مرحبا", "بكم", "في", "نشرة", "الأخبار"], "ara")
    send(page, talk)
    passage = "document.querySelector('.passage p')"
    assert page.value(f"getComputedStyle({passage}).direction") == "rtl"
    assert page.value(f"{passage}.lang") == "ar"
    edge = "document.querySelector(\"[data-w='{}']\").getBoundingClientRect().right"
    assert page.value(edge.format(0)) > page.value(edge.format(1))
    page.value("document.querySelector('[data-w]').focus()")
    page.press("ArrowLeft")
    assert page.value(FOCUSED) == "بكم"


def test_chinese_is_cut_into_words_that_can_be_heard(page, pool, talk):
    pool.answer = transcript(["今天天气很好我们去公园散步"], "zho", confidences=[0.9])
    send(page, talk)
    assert "天气" in words_shown(page)
    assert page.value(f"{TEXT}.split('\\n').at(-1)") == "今天天气很好我们去公园散步"
    assert page.value("document.querySelector('.passage p').lang") == "zh"


# ---- choices


def choose_language(page, value):
    page.value(
        "{ const menu = document.getElementById('language'); menu.value ="
        f" {json.dumps(value)}; menu.dispatchEvent(new Event('change')); }}"
    )


def test_the_languages_of_the_model_are_offered_by_name(page):
    names = page.value("[...document.getElementById('language').options].map((o) => o.text)")
    assert names == ["Any of the 4: the model decides", "Arabic", "Chinese", "English", "French",
                     "One of several …"]  # fmt: skip


@pytest.mark.parametrize(("chosen", "sent"), [
    ([], None), (["fra"], "fra"), (["eng", "zho"], ["zho", "eng"]),
])  # fmt: skip
def test_of_several_languages_those_that_are_checked_are_sent(page, pool, talk, chosen, sent):
    choose_language(page, "several")
    for code in chosen:
        page.value(f"document.querySelector('#languages [value={code}]').click()")
    send(page, talk)
    assert pool.jobs[0][0].language == sent


def test_a_recording_is_heard_again_in_the_language_that_is_chosen_then(page, pool, talk):
    choose_language(page, "ara")
    send(page, talk)
    choose_language(page, "fra")
    press_button(page, "Again")
    page.until(f"{STATES}[0] === 'done'")
    assert [job.language for job, _ in pool.jobs] == ["ara", "fra"]


def test_of_several_models_one_is_chosen_with_its_own_languages(page, pool, address, talk):
    pool.models["names"] = {"languages": []}
    try:
        page.open(address)
        page.until("!document.getElementById('model-field').hidden")
        page.value(
            "{ const menu = document.getElementById('model'); menu.value = 'names';"
            " menu.dispatchEvent(new Event('change')); }"
        )
        assert page.value("document.getElementById('language-field').hidden")
        send(page, talk)
        assert pool.jobs[0][0].model == "names"
    finally:
        del pool.models["names"]


# ---- what goes wrong


def test_an_error_is_shown_in_the_services_own_words_and_can_be_tried_again(page, pool, talk):
    words = "The audio breaks off after 0.2 s. Send the whole file."
    pool.answer = Failed(400, "invalid_audio", words, "file")
    send(page, talk)
    assert state_of(page) == words
    pool.answer = transcript()
    press_button(page, "Try again")
    page.until(f"{STATES}[0] === 'done'")


def test_limits_are_stated_and_kept_before_anything_is_sent(page, pool, tmp_path):
    stated = page.value("document.getElementById('limits').innerText")
    assert stated.startswith("Up to 40 MB and 1 minute each: WAV, ")
    (tmp_path / "large.wav").write_bytes(b"\0" * 40_000_001)
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 61), 8000)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "letter.pdf").write_bytes(b"%PDF")
    send(page, *sorted(tmp_path.iterdir()))
    told = page.value("[...document.querySelectorAll('.job .state')].map((e) => e.innerText)")
    assert [each.split(":")[0] for each in told] == [
        "The file is empty, or a folder. Drop the recordings themselves.",
        "The file has 40 MB; this service takes 40 MB at most.",
        "This is no recording (application/pdf).",
        "The recording is 1 minute 1 second long; this service takes 1 minute at most.",
    ]
    assert pool.jobs == []
    assert "Try again" not in page.value("document.getElementById('jobs').innerText")


def test_a_file_that_is_gone_is_told(page, pool, tmp_path):
    path = tmp_path / "gone.wav"
    soundfile.write(path, np.zeros(8000), 8000)
    pool.busy = [2]
    page.choose("#files", path)
    page.until(f"{STATES}[0] === 'held'")
    path.unlink()
    page.until(f"{STATES}[0] === 'failed'")
    assert "cannot be read" in state_of(page)


@pytest.mark.parametrize("megabytes", [0, 30])
def test_a_full_service_is_waited_for_as_long_as_it_asks(page, pool, talk, tmp_path, megabytes):
    path = tmp_path / "talk.wav"
    path.write_bytes(talk.read_bytes() + bytes(1_000_000 * megabytes))
    pool.busy = [1]
    began = time.monotonic()
    page.value(
        "{ window.told = []; new MutationObserver(() => told.push(document.getElementById('jobs')"
        ".innerText)).observe(document.getElementById('jobs'), {childList: true, subtree: true}); }"
    )
    send(page, path)
    assert page.value("told.some((each) => each.includes('Trying again in 1 s.'))")
    assert time.monotonic() - began >= 1
    assert len(pool.jobs) == 1


def test_a_service_that_still_loads_its_models_is_waited_for(page, pool, address, talk):
    models, pool.models = pool.models, {}
    try:
        page.open(address)
        page.until(
            "document.getElementById('fault').innerText.startsWith('The models are loading')"
        )
    finally:
        pool.models = models
    page.until("!document.getElementById('language-field').hidden")
    assert page.value("document.getElementById('fault').hidden")
    send(page, talk)
    assert words_shown(page) == WORDS


def test_a_service_that_is_gone_is_named(page, pool, talk):
    with served(pool) as url:
        page.open(url)
        page.until("!document.getElementById('language-field').hidden")
    send(page, talk)
    assert "does not answer" in state_of(page)


def test_what_is_cancelled_frees_its_worker(page, pool, talk):
    pool.stop_after = 1
    page.choose("#files", talk)
    page.until("document.querySelectorAll('[data-w]').length === 5")
    press_button(page, "Cancel")
    assert page.value(STATES) == ["cancelled"]
    end = time.monotonic() + 30
    while not pool.left and time.monotonic() < end:
        time.sleep(0.02)
    assert pool.left == 1
    assert words_shown(page) == WORDS[:5]  # what was heard stays


def test_a_key_is_asked_for_and_kept_in_memory_alone(page, pool, talk):
    with served(pool, api_key="open-sesame") as url:
        page.open(url)
        page.until("!document.getElementById('key-field').hidden")
        send(page, talk)
        assert state_of(page).startswith("The API key is missing or wrong.")
        assert page.value("document.activeElement.id") == "key"
        page.ask("Input.insertText", text="open-sesame")
        page.press("Enter")
        page.until("!document.getElementById('language-field').hidden")
        press_button(page, "Try again")
        page.until(f"{STATES}[0] === 'done'")
        assert (
            page.value("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        )
        assert "sesame" not in page.value("location.href")


# ---- several


def test_recordings_wait_in_a_queue_of_which_two_are_sent(page, pool, talk, tmp_path):
    paths = []
    for name in "abcd":
        paths.append(tmp_path / f"{name}.wav")
        paths[-1].write_bytes(talk.read_bytes())
    pool.stop_after = 0
    page.choose("#files", *paths)
    page.until(f'JSON.stringify({STATES}) === \'["working","working","waiting","waiting"]\'')
    pool.stop_after = None
    page.until(f"{STATES}.every((s) => s === 'done')")
    assert len(pool.jobs) == 4
    press_button(page, "d.wav")
    assert page.value("document.getElementById('result-title').innerText") == "d.wav"
    assert words_shown(page) == WORDS


def test_names_and_words_are_text_whatever_they_hold(page, pool, talk, tmp_path):
    hostile = "<img src=x onerror=hacked=1>"
    path = tmp_path / f"{hostile}.wav"
    path.write_bytes(talk.read_bytes())
    pool.answer = transcript([hostile, "</span><script>hacked=1</script>"])
    send(page, path)
    assert words_shown(page)[0] == hostile
    assert page.value("document.getElementById('result-title').innerText") == f"{hostile}.wav"
    assert page.value("typeof hacked") == "undefined"
    assert page.value("document.querySelectorAll('main img, main script').length") == 0


def test_files_can_be_dropped(page, talk):
    page.value(
        "{ const data = new DataTransfer();"
        " data.items.add(new File([new Uint8Array(9)], 'one.wav', {type: 'audio/wav'}));"
        " document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true,"
        " cancelable: true})); }"
    )
    page.until(f"{STATES}[0] === 'done'")


def test_sounds_that_are_not_shown_any_more_are_given_back(page, talk, tmp_path):
    other = tmp_path / "other.wav"
    other.write_bytes(talk.read_bytes())
    send(page, talk, other)
    press_button(page, "other.wav")
    press_button(page, "SRT")
    page.until("sounds.size === 1")
    press_button(page, "Remove finished")
    assert page.value("sounds.size") == 0
    assert page.value("document.getElementById('result').hidden")


# ---- taking it away


def test_the_downloads_are_the_files_of_the_command_line(page, talk, tmp_path):
    page.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    send(page, talk)
    for name in ("TXT", "SRT", "VTT", "JSON"):
        press_button(page, name)
    files = [tmp_path / f"talk of today.{end}" for end in ("txt", "srt", "vtt", "json")]
    end = time.monotonic() + 30
    while not all(file.exists() and file.stat().st_size for file in files):
        assert time.monotonic() < end, list(tmp_path.iterdir())
        time.sleep(0.02)
    text, srt, vtt, data = (file.read_text("utf-8") for file in files)
    assert text == " ".join(WORDS) + "\n"
    assert srt == subtitles.srt(transcript().best)
    assert vtt == subtitles.vtt(transcript().best)
    told = json.loads(data)
    assert (told["text"], told["language"], told["duration"]) == (" ".join(WORDS), "eng", 3.0)
    assert [word["text"] for word in told["words"]] == WORDS
    assert told["words"][2]["confidence"] == CONFIDENCES[2]


def test_on_paper_stands_the_transcript_alone(page, talk):
    send(page, talk)
    page.ask("Emulation.setEmulatedMedia", media="print")
    try:
        visible = "['header', '#left', '#tools', '#player', '#transcript', '#result-title']"
        shown = page.value(f"{visible}.filter((s) => document.querySelector(s).checkVisibility())")
        assert shown == ["#transcript", "#result-title"]
    finally:
        page.ask("Emulation.setEmulatedMedia", media="")


# ---- for everybody


def test_every_control_has_a_name_and_progress_is_not_chattered(page, pool, talk):
    page.value(
        "{ window.said = []; new MutationObserver(() => said.push(document.getElementById('status')"
        ".textContent)).observe(document.getElementById('status'), {childList: true}); }"
    )
    pool.step = 0.05
    send(page, talk)
    assert page.value("said") == ["1 recording added", "talk of today.wav: finished"]
    tree = page.ask("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in tree if not node["ignored"] and node["role"]["value"] in
                ("button", "combobox", "checkbox", "textbox", "progressbar", "meter", "Audio",
                 "link", "listitem", "group", "region")]  # fmt: skip
    assert len(controls) > 10
    nameless = [node["role"]["value"] for node in controls
                if node["role"]["value"] != "listitem" and not node["name"]["value"]]  # fmt: skip
    assert nameless == []


def test_the_tab_key_reaches_everything_and_passes_the_transcript_in_one_step(page, talk):
    send(page, talk)
    page.value("document.activeElement.blur()")
    reached = []
    for _ in range(40):
        page.press("Tab")
        reached.append(
            page.value("document.activeElement.id || document.activeElement.textContent")
        )
        if reached[-1] == "the":
            break
    wanted = ["choose", "record", "language", "talk of today.wav", "Remove", "copy", "print", "TXT",
              "audio", "follow", "next-unsure", "the"]  # fmt: skip
    assert [each for each in wanted if each not in reached] == []
    assert reached[-1] == "the"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_of_360_pixels_scrolls_down_only(page, pool, talk, tmp_path, dark):
    path = tmp_path / ("a_very_long_name_without_any_space_" * 4 + ".wav")
    path.write_bytes(talk.read_bytes())
    pool.answer = transcript([*WORDS, "w" * 80])
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.ask("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1,
             mobile=True)  # fmt: skip
    page.ask("Emulation.setEmulatedMedia", features=[scheme])
    try:
        send(page, path)
        assert page.value("document.documentElement.scrollWidth") == 360
        small = page.value(
            "[...document.querySelectorAll('button, select, audio')].filter((e) =>"
            " e.checkVisibility() && !e.classList.contains('at') && e.offsetHeight < 32)"
            ".map((e) => e.textContent)"
        )
        assert small == []
        ink, ground = page.value(
            "['color', 'backgroundColor'].map((name) => getComputedStyle(document.getElementById("
            "'result'))[name].match(/\\d+/g).slice(0, 3).map(Number))"
        )
        assert (sum(ink) > sum(ground)) == dark
    finally:
        page.ask("Emulation.setDeviceMetricsOverride", width=1200, height=900,
                 deviceScaleFactor=1, mobile=False)  # fmt: skip
        page.ask("Emulation.setEmulatedMedia", features=[{**scheme, "value": "light"}])


def test_two_hours_of_words_are_shown_at_once_and_listened_to_in_one_place(page, pool, talk):
    texts = [f"word{n % 97}" for n in range(20_000)]
    long = transcript(texts, each=0.04, gap=0.1, duration=7200.0)
    pool.answer = replace(long, hypotheses=(replace(long.best, chars=()),))  # they are slow to send
    pool.at_once = 50
    listeners = page.ask("Memory.getDOMCounters")["jsEventListeners"]
    send(page, talk)
    page.until("document.querySelectorAll('[data-w]').length === 20000")
    page.value("document.querySelector('.job .name').click()")
    seconds = page.value(
        "(async () => { const [job] = document.querySelectorAll('.job .name');"
        " const began = performance.now(); job.click();"
        " await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));"
        " return (performance.now() - began) / 1000; })()"
    )
    assert seconds < 2
    assert page.ask("Memory.getDOMCounters")["jsEventListeners"] - listeners < 60
    page.value("document.querySelector(\"[data-w='19990']\").click()")
    assert page.value("document.querySelectorAll('#transcript [title]').length") < 4
