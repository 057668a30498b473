"""What a page or table shows fits, is marked, and stands there once.

At 390 pixels the names at the lines' ends lay outside; logarithmic axes were not marked; of thirty
utterances twelve had sound; confusions of a script with little text were hidden by another's.
"""

import re
import subprocess
from pathlib import Path

import pytest

from asr_dro_plugin.bin.report import main
from asr_dro_plugin.reporting.page.part_errors import by_script
from asr_dro_plugin.reporting.page.svg import WIDTH, Line, line_chart
from asr_dro_plugin.scoring import confusions as counting
from asr_dro_plugin.scoring import score
from asr_dro_plugin.scoring.report import build_report
from asr_dro_plugin.scoring.table import text_table
from tests.browser import Browser, find_browser
from tests.reporting.made import add_sound, make_experiment

ROOT = Path(__file__).parents[2]
LANGS = ["eng_a_corpus_of_a_long_name", "fra", "rus"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    recipe = tmp_path_factory.mktemp("recipe")
    exp = make_experiment(recipe, "asr_a", LANGS, each=12)
    add_sound(recipe / "dump/raw/test_x", 0.2)
    assert main([str(exp)]) == 0
    return exp / "report.html"


@pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")
def test_every_label_of_a_chart_lies_within_a_phones_page(report):
    boxes = (
        "Array.from(document.querySelectorAll('.curves text')).map((label) => {"
        " const at = label.getBoundingClientRect(), svg = label.ownerSVGElement"
        ".getBoundingClientRect(); return [at.left - svg.left, svg.right - at.right,"
        " 390 - at.right, parseFloat(getComputedStyle(label).fontSize) * svg.width / 366]; })"
    )
    with Browser(width=390, height=800) as phone:
        phone.open(report)
        found = phone.value(boxes)
    assert len(found) > 20
    assert min(min(box[:3]) for box in found) >= 0
    assert min(box[3] for box in found) >= 10  # pixels: as large as the page's small print


def test_a_logarithmic_axis_is_marked_and_a_plain_one_is_not():
    steep, flat = ([Line("eng", [1, 2, 3], ys)] for ys in ([100, 10, 1], [3, 2, 1]))
    assert ">logarithmic<" in line_chart(steep, ["eng"], "epoch", "x", may_be_log=True)
    assert "logarithmic" not in line_chart(flat, ["eng"], "epoch", "x", may_be_log=True)


def test_a_long_name_leaves_room_for_its_line():
    drawn = line_chart([Line("x" * 40, [1, 2], [1, 2])], ["x" * 40], "epoch", "x")
    ends = [float(x) for x in re.findall(r"L([\d.]+) ", drawn)]
    assert WIDTH / 2 < max(ends) < WIDTH - 80
    assert "xxx\u2026</text>" in drawn and f"<title>{'x' * 40}</title>" in drawn


def test_every_utterance_that_is_shown_has_sound(report):
    text = report.read_text("utf-8")
    shown = re.search(r'<section id="utterances".*?</section>', text, re.DOTALL)
    body = (shown or re.search(r'<ol class="utterances">.*?</ol>', text, re.DOTALL))[0]
    assert body.count("<li>") == body.count("<audio") == 30


def test_what_the_colours_mean_stands_on_the_page_once(report):
    text = report.read_text("utf-8")
    assert text.count('<i class="swatch sub">') == 1


def test_confusions_are_shown_by_script():
    pairs = [["a", "o", 9], ["д", "т", 7], ["о", "o", 3], [" ", "", 2], ["", "э", 1]]
    found = dict(by_script("Characters", pairs))
    assert list(found) == [
        "Characters: Latin", "Characters: Cyrillic", "Characters: Across scripts",
        "Characters: spaces, digits, marks",
    ]  # fmt: skip
    assert found["Characters: Cyrillic"] == [["д", "т", 7], ["", "э", 1]]
    assert by_script("Words", [["an", "a", 3], [" ", "", 1]])[0][0] == "Words"


def test_a_script_of_much_text_hides_no_other(monkeypatch):
    monkeypatch.setattr(counting, "MOST", 2)
    refs = {"u1": "abcd" * 9, "u2": "где"}
    hyps = {"u1": "bcda" * 9, "u2": "гба"}
    found = counting.confusions(score(refs, hyps).utterances)["chars"]
    assert sum("а" <= (ref or hyp) <= "я" for ref, hyp, _ in found) == 2
    assert sum(ref.isascii() and hyp.isascii() for ref, hyp, _ in found) == 2


def test_of_two_tables_the_legend_is_printed_once_below_the_last(tmp_path):
    for name in ("dev", "test"):
        table = text_table(build_report(score({"u": "ab"}, {"u": "ac"}), name))
        (tmp_path / name).write_text(f"{table}\n", "utf-8")
    script = f'. "{ROOT}/tools/utils/log.sh"; show_tables dev test'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.count("CER = sub + del + ins") == 1
    assert done.stdout.endswith((tmp_path / "test").read_text("utf-8"))
    assert "Set dev," in done.stdout and done.stdout.count("95 % intervals:") == 2
