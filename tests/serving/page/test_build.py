"""The page's file: one, small, of no other host, and what its policy allows."""

import base64
import hashlib
import importlib.util
import json
import re
import sys

import pytest
import soundfile

from asr_dro_plugin.audio.files import read
from asr_dro_plugin.serving.page.build import FORMATS, HERE, MOST_BYTES, SCRIPTS, build_page
from tests.sounds import encode, tone

PAGE = build_page(500_000_000, 14_400.0, needs_key=True)
HTML = PAGE.html.decode()


def contents(tag, html=HTML):
    """What stands in each element of a kind without attributes."""
    return re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)


def test_it_is_one_file_of_at_most_100_kilobytes():
    assert len(PAGE.html) <= MOST_BYTES == 100_000
    assert not re.search(r"<(?:img|iframe|object|embed|link(?! rel=\"icon\" href=\"data:))", HTML)
    assert not re.search(r"\bsrc=|@import|url\(", HTML)


def test_it_names_no_other_host():
    found = set(re.findall(r"\b(?:https?|wss?)://[\w.-]*\w", HTML))
    assert found <= {"http://www.w3.org", "http://localhost"}  # SVG's namespace, an advice


def test_its_policy_allows_its_script_and_its_style_and_nothing_else():
    policy = dict(
        part.split(" ", 1) for part in PAGE.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (content,) = contents(tag)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"
    assert "unsafe" not in PAGE.headers["Content-Security-Policy"]


def test_it_needs_no_exception_from_the_policy():
    (script,) = contents("script")
    assert not re.search(
        r"\b(?:eval|innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b", script
    )
    assert not re.search(r"<[^>]+\s(?:on\w+|style)=", HTML)


def test_every_part_of_the_script_is_in_it():
    assert {path.stem for path in (HERE / "js").glob("*.js")} == set(SCRIPTS)


def test_every_element_that_the_script_asks_for_is_there_once():
    ids = re.findall(r'\bid="([^"]+)"', HTML)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'\$\("([^"]+)"\)', HTML)) <= set(ids)


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_stands_out_from_what_it_is_written_on(scheme):
    palettes = re.findall(r":root \{(.*?)\}", (HERE / "page.css").read_text("utf-8"), re.DOTALL)
    told = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", palettes[scheme == "dark"]))
    read = [(ink, ground, 4.5) for ink in ("ink", "soft", "accent", "warn", "good")
            for ground in ("ground", "card")]  # fmt: skip
    read += [("warn", "warn-ground", 4.5), ("lit-ink", "lit", 4.5), ("accent-ink", "accent", 4.5),
             ("ink", "wash", 4.5), ("edge", "card", 3.0)]  # fmt: skip
    for ink, ground, least in read:
        light, dark = sorted((luminance(told[ink]), luminance(told[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, (ink, ground)


@pytest.mark.parametrize("needs_key", [False, True])
def test_the_limits_stand_in_it(needs_key):
    html = build_page(2_000_000, 90.0, needs_key).html.decode()
    (facts,) = re.findall(r'<script type="application/json" id="[\w-]+">(.*?)</script>', html)
    told = json.loads(facts)
    assert (told["maxBytes"], told["maxSeconds"], told["needsKey"]) == (2_000_000, 90.0, needs_key)


@pytest.mark.parametrize(("name", "ending", "codec"), [
    ("WAV", "wav", "pcm_s16le"), ("FLAC", "flac", "flac"), ("MP3", "mp3", "libmp3lame"),
    ("M4A", "m4a", "aac"), ("Ogg", "ogg", None), ("Opus", "opus", "libopus"),
    ("WebM", "webm", "libopus"), ("WMA", "wma", "wmav2"), ("a video", "mp4", "aac"),
])  # fmt: skip
def test_the_formats_that_it_names_are_read(tmp_path, name, ending, codec):
    assert name in FORMATS
    container = {"wma": "asf", "m4a": "mp4", "opus": "ogg"}.get(ending, ending)
    path = tmp_path / f"a.{ending}"
    if codec:
        encode(path, tone(1.0, 48000), 48000, codec, container)
    else:  # Vorbis
        soundfile.write(path, tone(1.0, 48000), 48000)
    samples, rate = read(path)
    assert len(samples) / rate == pytest.approx(1.0, abs=0.15)


def test_without_ffmpegs_decoders_it_names_and_records_what_libsndfile_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    html = build_page(2_000_000, 90.0, False).html.decode()
    (facts,) = re.findall(r'<script type="application/json" id="[\w-]+">(.*?)</script>', html)
    told = json.loads(facts)
    monkeypatch.setitem(sys.modules, "av", None)
    kinds = {"WAV": "WAV", "FLAC": "FLAC", "Ogg": "OGG", "Opus": "OGG"}
    assert told["formats"].split(", ") == list(kinds)
    assert told["recorded"] == ["audio/ogg;codecs=opus"]
    for name, container in kinds.items():
        path = tmp_path / f"a.{name.lower()}"
        subtype = "OPUS" if name == "Opus" else None
        soundfile.write(path, tone(1.0, 48000), 48000, subtype, format=container)
        assert len(read(path)[0]) == pytest.approx(48000, abs=3000)
