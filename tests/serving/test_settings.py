"""What the service may be told."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.serving.settings import ServiceSettings


@pytest.mark.parametrize(
    "wrong",
    [{"port": 65536}, {"port": True}, {"workers": -1}, {"max_queue": 0}, {"max_seconds": 0},
     {"log_level": "loud"}, {"root_path": "asr"}, {"body_timeout": float("inf")}],
)  # fmt: skip
def test_a_setting_out_of_its_range_is_refused_by_its_name(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        ServiceSettings(**wrong)


@pytest.mark.parametrize("origin", ["lab.example", "https://lab.example/", "ftp://x", "", "a b"])
def test_an_origin_that_no_page_has_is_refused(origin):
    with pytest.raises(UserError, match="origins has"):
        ServiceSettings(origins=("https://known.example:8443", origin))


@pytest.mark.parametrize("key", ["two words", "clé", "a\nb"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key):
    with pytest.raises(UserError, match="API key") as raised:
        ServiceSettings(api_key=key)
    assert key not in str(raised.value)


def test_a_key_is_not_in_what_is_printed_of_the_settings():
    assert "s3cret" not in repr(ServiceSettings(api_key="s3cret"))


def test_the_default_model_is_the_only_one():
    assert ServiceSettings(models={"a": "x"}).default_model == "a"
    assert ServiceSettings(models={"a": "x", "b": "y"}).default_model is None
