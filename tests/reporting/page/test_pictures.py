"""Charts hold their figures; sound and spectrogram are real files of their kinds."""

import io
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.data.wav_scp import Item
from asr_dro_plugin.reporting.page import svg
from asr_dro_plugin.reporting.page.part_utterances import mp3, png, read_sound, spectrogram
from asr_dro_plugin.reporting.page.svg import MOST_POINTS, Line, line_chart
from tests.sounds import pitch_of, tone, write_flac


def numbers(text, name):
    return [float(value) for value in re.findall(rf'{name}="([\d.]+)"', text)]


def test_a_bar_is_as_long_as_its_rates_and_the_whisker_lies_at_the_interval():
    drawn = svg.error_bar({"sub": 0.1, "del": 0.2, "ins": 0.0}, (0.25, 0.4), 0.5)
    assert numbers(drawn, "width")[1:] == [44, 88]
    assert "M110 9H176" in drawn


def test_what_is_beyond_the_axis_is_cut():
    drawn = svg.error_bar({"sub": 0.9, "del": 0.9, "ins": 3.0}, (1.0, 9.0), 1.0)
    assert sum(numbers(drawn, "width")[1:]) == svg.BAR_WIDTH


@given(st.floats(1e-6, 1e9))
def test_an_axis_ends_at_a_round_number_not_far_above(highest):
    end = svg.scale_of(highest)
    assert highest * (1 - 1e-9) <= end <= 2 * highest * (1 + 1e-9)
    assert 2 <= len(svg.ticks(end)) <= 7


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_a_histogram_counts_every_value(values):
    end = svg.histogram_end(values)
    drawn = svg.histogram(values, end, "seconds", "x")
    assert drawn.count("hist") >= 1
    assert max(numbers(drawn, "height")) == 92


def test_a_chart_has_a_line_for_each_group_and_names_the_coloured():
    lines = [Line(name, range(1, 500), np.linspace(1, 0.1, 499)) for name in ("a", "b", "c")]
    drawn = line_chart(lines, ["b"], "epoch", "x")
    paths = re.findall(r'<path d="(M[^"]+)" class="line[^"]*" data-s="(\w)"', drawn)
    assert [name for _, name in paths] == ["a", "c", "b"]
    assert all(path.count("L") < MOST_POINTS for path, _ in paths)
    assert re.findall(r'class="end c0">(\w)<', drawn) == ["b"]


def test_a_chart_passes_over_what_is_no_number():
    drawn = line_chart([Line("a", [1, 2, 3], [0.5, math.nan, 0.4])], ["a"], "epoch", "x")
    assert "nan" not in drawn
    assert line_chart([Line("a", [1], [math.nan])], [], "epoch", "x") is None
    assert line_chart([], [], "epoch", "x") is None


def test_one_epoch_is_a_chart():
    assert "M" in line_chart([Line("a", [1], [0.5])], ["a"], "epoch", "x")


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=40))
def test_lines_stay_inside_the_picture(values):
    drawn = line_chart([Line("a", range(len(values)), values)], [], "x", "x", may_be_log=True)
    path = re.search(r'<path d="(M[^"]+)" class="line"', drawn)[1]
    places = [tuple(map(float, place.split())) for place in path[1:].split("L")]
    assert all(0 <= x <= 540 and 0 <= y <= 280 for x, y in places)


def test_the_sound_that_is_embedded_is_that_of_the_file(tmp_path):
    import soundfile

    write_flac(tmp_path / "a.flac", tone(2.0, 8000, 440), 8000)
    samples = read_sound(Item("a", "a.flac", 0.5, 1.5), tmp_path)
    assert len(samples) == 16000
    content = mp3(samples)
    decoded, rate = soundfile.read(io.BytesIO(content))
    assert rate == 16000
    assert pitch_of(decoded, rate) == pytest.approx(440, abs=3)
    assert len(content) < 8000  # 1 s
    assert mp3(samples) == content


def test_a_long_sound_is_cut(tmp_path):
    write_flac(tmp_path / "a.flac", tone(30.0, 16000), 16000)
    assert len(read_sound(Item("a", "a.flac"), tmp_path)) == 20 * 16000


def test_the_spectrogram_shows_a_tone_at_its_height():
    from PIL import Image

    picture = spectrogram(tone(1.0, 16000, 6000))
    image = np.array(Image.open(io.BytesIO(png(picture))).convert("L"), dtype=float)
    assert image.shape == picture.shape
    assert image.mean(axis=1).argmax() == pytest.approx(64 * (1 - 6000 / 8000), abs=2)


@pytest.mark.parametrize("num", [1, 399, 401, 1_000_000])
def test_every_length_has_a_picture(num):
    from PIL import Image

    picture = spectrogram(np.zeros(num, np.float32))
    assert Image.open(io.BytesIO(png(picture))).size == picture.shape[::-1]
    assert 1 <= picture.shape[1] <= 601
