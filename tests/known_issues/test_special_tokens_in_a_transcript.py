"""``<|endoftext|>`` written in a transcript became Whisper's end of text, in mid-sentence."""

pytest_plugins = ["tests.fixtures_whisper"]


def test_a_special_token_that_stands_in_a_text_is_spelled(tiny_whisper):
    from asr_dro_plugin.text.whisper_tokens import WhisperTokenizer

    pieces = WhisperTokenizer(tiny_whisper, "eng")("he said <|endoftext|> twice")
    assert "<|endoftext|>" not in pieces
    assert "".join(pieces).endswith("twice")
    assert "endoftext" in "".join(pieces)
