"""A terminal that shows the user's result and nothing of the machinery."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from asr_dro_plugin.errors import UserError


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what compiled libraries write to the process's stderr to ourselves, unless they fail."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except UserError:
            raise
        except BaseException:
            kept.seek(0)
            os.write(before, kept.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """While ESPnet is imported and a model built, keep what they print and warn of to ourselves.

    Where the block fails, what was kept goes to stderr before the traceback; a ``UserError`` needs
    no more than its one line.
    """
    kept, level = io.StringIO(), logging.root.level
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(kept),
            contextlib.redirect_stderr(kept),
        ):
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except BaseException:
        sys.stderr.write(kept.getvalue())
        raise
    finally:
        logging.disable(logging.NOTSET)
        logging.root.setLevel(level)
