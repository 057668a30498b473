"""Stages 6, 7 and 9: the text of each model, its estimation, KenLM's binaries; or all in one."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from asr_dro_plugin.base.overwrite import refuse_earlier
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import SomeLeftOut, UserError
from asr_dro_plugin.lm.build import LmSettings, build_lm, make_binary
from asr_dro_plugin.lm.files import all_lms, find_lm
from asr_dro_plugin.lm.text import Sentences, collect, collected

MAX_NAMED = 5


def build_models(
    sentences: Sentences,
    per: str,
    out_dir: str | os.PathLike,
    settings: LmSettings,
    strict: bool = False,
    overwrite: bool = True,
) -> Iterator[str]:
    """From text to models, all stages in one; lines about what was made, as it is.

    Raises:
        SomeLeftOut: lines or texts that had to be left out; all else is done.
        UserError: as ``collect_all`` and ``estimate_all``; a folder that was made for nothing
            is gone again.
    """
    out = Path(out_dir)
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=out, prefix=".text.") as text_dir:
            yield collect_all(sentences, per, text_dir, strict)
            made, failed = estimate_all(text_dir, out, settings, True, strict, overwrite)
            yield from lines_about(made, failed)
    finally:
        if is_new and not any(out.iterdir()):
            out.rmdir()
    refuse_failed(failed, made)
    refuse_unknown(sentences)


def collect_all(
    sentences: Sentences, per: str, text_dir: str | os.PathLike, strict: bool = False
) -> str:
    """Write the text of each model; a line about it.

    Raises:
        UserError: as ``collect``; with ``strict``, a line without a language.
    """
    counts = collect(sentences, text_dir, per)
    texts = ", ".join(f"{name} {count}" for name, count in counts.items())
    more = f"; {sentences.num_empty} empty" if sentences.num_empty else ""
    more += f"; {sentences.num_symbols} <s> </s> <unk> dropped" if sentences.num_symbols else ""
    if strict:
        refuse_unknown(sentences, UserError)
    return f"sentences: {texts}{more}"


def refuse_unknown(sentences: Sentences, kind: type[UserError] = SomeLeftOut) -> None:
    """Raise where lines were left out for want of a language."""
    if unknown := sentences.unknown:
        more = " …" if len(unknown) > MAX_NAMED else ""
        raise kind(
            f"{len(unknown)} lines have no language and were left out: "
            f"{' '.join(unknown[:MAX_NAMED])}{more}. Complete --groups."
        )


def estimate_all(
    text_dir: str | os.PathLike,
    out_dir: str | os.PathLike,
    settings: LmSettings,
    binary: bool = False,
    strict: bool = False,
    overwrite: bool = True,
) -> tuple[list[str], list[str]]:
    """Estimate a model of each text that ``text.collect`` wrote, in ``out_dir/<name>/``.

    Args:
        binary: whether to make lm.bin too, where build_binary is on PATH.
        strict: stop at the first text that no model can be made of.
        overwrite: whether models that are there are replaced.

    Returns:
        A line about each model, and a line about each text that none could be made of; a model
        of that name from an earlier run is removed, for it is not of this text.

    Raises:
        UserError: there is no text, none of them makes a model, or one is there already.
    """
    text_norm, texts = collected(text_dir)
    refuse_earlier([Path(out_dir) / name for name in texts], overwrite)
    made, failed = [], []
    with Progress(len(texts), "estimate") as progress:
        for name, text in texts.items():
            try:
                about = build_lm(text, out_dir, name, settings, text_norm)
                has_binary = binary and make_binary(find_lm(out_dir, name))
                made.append(_summary(Path(out_dir) / name, about, has_binary))
            except UserError as error:
                shutil.rmtree(Path(out_dir) / name, ignore_errors=True)
                if strict or len(texts) == 1:
                    raise
                failed.append(str(error))
            progress.advance(note=name)
    if not made:
        raise UserError(f"{failed[0]} ({len(failed)} texts, none makes a model)")
    return made, failed


def binaries(lm_dir: str | os.PathLike) -> str:
    """Make lm.bin of each model of a folder; a line that says what came of it."""
    if Path(lm_dir).is_file():
        raise UserError(f"{lm_dir} is a file. Name its folder.")
    made = [make_binary(lm) for lm in all_lms(lm_dir).values()]
    if all(made):
        return f"{lm_dir}: lm.bin of {len(made)} models"
    return f"{lm_dir}: no build_binary on PATH; lm.arpa.gz is used, which loads slower"


def refuse_failed(failed: list[str], made: list[str]) -> None:
    """Raise ``SomeLeftOut`` where some texts made no model."""
    if failed:
        raise SomeLeftOut(f"{len(failed)} of {len(failed) + len(made)} left out: {failed[0]}")


def lines_about(made: list[str], failed: list[str]) -> list[str]:
    """What came of an estimation, and the memory it took."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [*made, f"peak memory {peak:.0f} MiB", *failed]


def _summary(folder: Path, about: dict, has_binary: bool) -> str:
    sizes = " + ".join(f"{size:,}" for size in about["ngrams"])
    fallback = about.get("fallback_orders")
    note = f"; fallback discounts in order {' '.join(map(str, fallback))}" if fallback else ""
    return (
        f"{folder}: {about['sentences']:,} sentences, {about['tokens']:,} {about['unit']}s; "
        f"n-grams {sizes}; {about['estimator']}{note}{'; lm.bin' if has_binary else ''}"
    )
