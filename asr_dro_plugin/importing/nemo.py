"""``--from nemo``: later."""

from asr_dro_plugin.importing.found import Found, Wish


def read(wish: Wish) -> Found:
    raise NotImplementedError
