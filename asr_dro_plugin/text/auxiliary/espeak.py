"""Phonemes of a text by espeak-ng, whose library is called in this process.

A process for each line would take milliseconds; the library takes some 0.06 ms.  It is that of the
wheel ``espeakng-loader``, else that of the system (Debian's package ``espeak-ng``).
"""

import ctypes
import ctypes.util
import functools
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from asr_dro_plugin.errors import UserError, how_to_install

WHEEL = "espeakng_loader"
SYSTEM = ("espeak-ng", "libespeak-ng.so.1")  # as the linker calls it, as the loader does
DATA = "espeak-ng-data"
LONGEST_PATH = 140  # bytes; the library cuts a longer name of its data off, and reads what is there
RETRIEVAL, DONT_EXIT = 1, 0x8000  # no sound device; an error is a return value, not an exit
UTF8, IPA, SEPARATOR = 1, 0x02, ord("_") << 8


class Espeak:
    """The library with its data; there is one in a process (``espeak``).

    Args:
        library: file of the shared library.
        data: folder of its data; None: where the library itself looks.

    Attributes:
        version: as it says itself, for example ``1.52.0``.
        data: the folder that it reads.

    Raises:
        UserError: the library cannot be loaded, or cannot read its data.
    """

    def __init__(self, library: str, data: str | None) -> None:
        try:
            self._lib = ctypes.CDLL(library)
        except OSError as error:
            raise UserError(f"{library} cannot be loaded ({error}). {remedy()}") from None
        self._lib.espeak_Initialize.argtypes = (ctypes.c_int,) * 2 + (ctypes.c_char_p, ctypes.c_int)
        self._lib.espeak_Info.restype = ctypes.c_char_p
        self._lib.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.argtypes = (
            ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int,
        )  # fmt: skip
        given = None if data is None else self._short(data)
        path = None if given is None else os.fsencode(given)
        self._lib.espeak_Initialize(RETRIEVAL, 0, path, DONT_EXIT)
        read = ctypes.c_char_p()
        self.version = self._lib.espeak_Info(ctypes.byref(read)).decode()
        self.data = os.fsdecode(read.value or b"")
        if not Path(self.data, "phontab").is_file() or (given and self.data != given):
            raise UserError(f"espeak-ng does not find its data in {data or self.data}. {remedy()}")

    def _short(self, data: str) -> str:
        """The folder itself, or a link to it where its name is too long for the library."""
        if len(os.fsencode(data)) <= LONGEST_PATH:
            return data
        self._folder = tempfile.TemporaryDirectory(prefix="espeak")
        link = Path(self._folder.name, DATA)
        link.symlink_to(Path(data).absolute())
        return str(link)

    def use(self, voice: str, dictionary: str) -> bool:
        """Read with a voice from now on; False where this espeak-ng has it not, or not its words.

        Without its dictionary the library says nothing and returns nothing for every word.
        """
        if not Path(self.data, f"{dictionary}_dict").is_file():
            return False
        return self._lib.espeak_SetVoiceByName(voice.encode()) == 0

    def phonemes(self, text: str) -> str:
        """IPA of a text: ``_`` between phonemes, spaces between words, ``(en)`` before and
        ``(fr)`` behind what is read with another voice."""
        return " ".join(self._clauses(text))

    def _clauses(self, text: str) -> Iterator[str]:
        written = text.encode()  # held until the library has read it
        rest = ctypes.c_char_p(written)
        while rest.value:
            before = rest.value
            said = self._lib.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA | SEPARATOR)
            yield (said or b"").decode("utf-8", "replace")
            if rest.value == before:
                return


@functools.cache
def espeak() -> Espeak:
    """The espeak-ng of this machine.

    Raises:
        UserError: there is none, or it does not work.
    """
    if importlib.util.find_spec(WHEEL):
        import espeakng_loader

        return Espeak(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    library = ctypes.util.find_library(SYSTEM[0])
    if library is None:
        raise UserError(f"Phonemes need espeak-ng, which is not here. {remedy()}")
    return Espeak(library, None)


def remedy() -> str:
    """How espeak-ng comes to this machine."""
    return f"Install it: {how_to_install('phonemes')}, or your system's package espeak-ng."
