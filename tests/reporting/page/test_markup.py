"""No text becomes markup, whatever it holds."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.reporting.page.markup import Markup, el


class Reader(HTMLParser):
    """Tags, attributes and texts that a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        self.texts.append(data)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1)


@given(TEXT, TEXT)
def test_texts_and_attributes_come_back_as_they_were(text, attribute):
    read = Reader(el("p", text, title=attribute))
    assert read.tags == [("p", [("title", attribute)])]
    assert "".join(read.texts) == text


def test_elements_nest_and_none_is_nothing():
    inner = el("b", "<i>")
    assert el("p", [inner, None, ["&", 3]]) == "<p><b>&lt;i&gt;</b>&amp;3</p>"
    assert isinstance(inner, Markup)


def test_attributes_may_be_absent_or_without_value():
    found = el("input", class_="a", data_v=None, hidden=False, controls=True, aria_label="x")
    assert found == '<input class="a" controls aria-label="x">'
