"""The page in a real Chromium: no network, no complaint, sorted, filtered, fit for a phone."""

import pytest

from asr_dro_plugin.bin.report import main
from tests.browser import Browser, find_browser
from tests.reporting.made import add_sound, make_experiment

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")
LANGS = ["eng", "fra", "ita", "pol", "rus", "spa", "swa", "tam", "tur", "ukr", "vie", "zho", "ara"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page of two experiments with thirteen languages, and sound."""
    recipe = tmp_path_factory.mktemp("recipe")
    first = make_experiment(recipe, "asr_a", LANGS, each=6)
    second = make_experiment(recipe, "asr_b", LANGS, each=6, seed=1, factor=0.5)
    add_sound(recipe / "dump/raw/test_x")
    out = recipe / "report.html"
    assert main([str(first), str(second), "--out", str(out), "--audio", "4"]) == 0
    return out


@pytest.fixture(scope="module")
def page(report):
    with Browser() as browser:
        browser.open(report)
        yield browser


def column(page, number):
    """Texts of a column of the table of languages."""
    rows = "document.querySelector('.languages').tBodies[0].rows"
    return page.value(f"Array.from({rows}).map((row) => row.cells[{number}].innerText)")


def click(page, number):
    page.value(f"document.querySelectorAll('.languages thead button')[{number}].click()")


def test_it_asks_for_nothing_but_itself_and_nothing_complains(page, report):
    assert page.requests() == [f"file://{report}"]
    assert page.complaints() == []


def test_every_link_of_the_contents_leads_to_a_section(page):
    links = page.value("[...document.querySelectorAll('nav a')].map((a) => a.getAttribute('href'))")
    sections = page.value("[...document.querySelectorAll('section[id]')].map((s) => '#' + s.id)")
    assert links == sections
    assert {"#summary", "#languages", "#causes"} <= set(links)


def test_a_click_sorts_figures_from_the_highest_and_names_from_the_first(page):
    rates = [float(text) for text in column(page, 2)]
    assert rates == sorted(rates, reverse=True)
    click(page, 0)
    names = column(page, 0)
    assert names == sorted(names)
    click(page, 0)
    assert column(page, 0) == names[::-1]
    click(page, 2)
    assert [float(text) for text in column(page, 2)] == rates
    head = "document.querySelector('.languages thead th:nth-child(3)').getAttribute('aria-sort')"
    assert page.value(head) == "descending"


def test_the_box_finds_a_language(page):
    page.value(
        "{ const box = document.querySelector('.filter'); box.value = 'swa';"
        " box.dispatchEvent(new Event('input')); }"
    )
    rows = "document.querySelector('.languages').tBodies[0].rows"
    shown = page.value(
        f"Array.from({rows}).filter((r) => !r.hidden).map((r) => r.cells[0].innerText)"
    )
    assert len(shown) == 1
    assert shown[0].startswith("swa")


def test_one_system_is_shown_at_a_time_and_the_menus_change_together(page):
    visible = (
        "Array.from(document.querySelectorAll('[data-block]'))"
        ".filter((b) => !b.hidden).map((b) => b.dataset.block)"
    )
    assert set(page.value(visible)) >= {"languages-0", "utterances-0", "training-0"}
    page.value(
        "{ const menu = document.querySelector('[data-blocks=languages]'); menu.value = '1';"
        " menu.dispatchEvent(new Event('change')); }"
    )
    shown = set(page.value(visible))
    assert shown >= {"languages-1", "utterances-1", "lid-1", "training-0"}
    assert not shown & {"languages-0", "utterances-0"}


def test_a_picked_language_stands_out(page):
    page.value(
        "{ const menu = document.querySelector('[data-pick]'); menu.value = menu.options[1].value;"
        " menu.dispatchEvent(new Event('change')); }"
    )
    picked = "Array.from(document.querySelectorAll('.picked')).map((line) => line.dataset.s)"
    assert set(page.value(picked)) == {sorted(LANGS)[0]}
    ink = page.value("getComputedStyle(document.body).color")
    assert page.value("getComputedStyle(document.querySelector('.picked')).stroke") == ink


def test_sound_can_be_played(page):
    playable = (
        "new Promise((done) => { const audio = document.querySelector('audio');"
        " audio.oncanplaythrough = () => done(audio.duration);"
        " audio.onerror = () => done('error'); audio.preload = 'auto'; audio.load(); })"
    )
    assert page.value(playable) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_down_only_and_reads_dark_text_on_light_or_light_on_dark(report, dark):
    with Browser(width=390, height=800, dark=dark) as phone:
        phone.open(report)
        assert phone.value("document.documentElement.scrollWidth") <= 390
        ground = phone.value("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(20, 23, 27)") == dark
        assert phone.complaints() == []
