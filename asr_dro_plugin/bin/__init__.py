"""One thin entry a command; ``asr-dro COMMAND`` (``bin.main``) dispatches to the same functions."""
