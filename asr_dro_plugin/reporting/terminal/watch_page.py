"""A run's state as lines of text that fit a terminal."""

import math
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.reporting.read.run_state import RunState, duration_words
from asr_dro_plugin.reporting.terminal.text_plot import ASCII, UNICODE, Glyphs, bar, curve, trend

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
COLOURS = {"running": "green", "finished": "green", "ended": "red", "silent": "yellow"}
CURVE_ROWS, LEAST_ROWS, TREND = 7, 3, 16
WARNINGS = 3


@dataclass(frozen=True)
class Look:
    """How to draw: the size, which characters, whether with colours; height None is endless."""

    width: int = 100
    height: int | None = None
    unicode: bool = True
    colour: bool = False

    @property
    def glyphs(self) -> Glyphs:
        """Characters that the terminal can show."""
        return UNICODE if self.unicode else ASCII

    def paint(self, text: str, style: str) -> str:
        """``text`` in a style, where there are any."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.colour and style else text

    def cut(self, text: str) -> str:
        """``text`` on one line."""
        more = self.glyphs.more
        if len(text) <= self.width:
            return text
        return (text[: max(0, self.width - len(more))] + more)[: self.width]


@dataclass(frozen=True)
class LanguageLine:
    """A group's dev CER, newest first known, with what it was and its weight."""

    name: str
    cer: float
    change: float
    cers: np.ndarray
    weight: float


def render(state: RunState, look: Look) -> list[str]:
    """The page; no line is longer than the width, and no more lines than the height."""
    head, tail = _head(state, look), _warnings(state, look)
    found = languages(state)
    room = None if look.height is None else look.height - len(head) - len(tail)
    plot = _losses(state, look)
    if room is not None and room - len(plot) < min(len(found), LEAST_ROWS) + 2:
        plot = []
    table = _table(found, look, None if room is None else room - len(plot))
    page = [*head, *plot, *table, *tail]
    return page if look.height is None else page[: look.height]


def summary(state: RunState) -> str:
    """One line, for where there is no terminal."""
    words = [f"{state.name}: {_epoch_words(state)}", f"{state.done:,} batches"]
    loss = state.history.series("train", "loss", whole=False).values
    words += [f"loss {loss[-1]:.4g}"] if len(loss) else []
    found = languages(state)
    if found:
        macro = np.mean([language.cer for language in found])
        words += [f"dev CER {100 * macro:.1f} %, worst {found[0].name} {100 * found[0].cer:.1f} %"]
    if state.seconds_left is not None:
        words += [f"{duration_words(state.seconds_left)} left"]
    return ", ".join([*words, state.words])


def languages(state: RunState) -> list[LanguageLine]:
    """The groups, the worst first."""
    history = state.history
    found = []
    for name in history.groups():
        cers = history.series("valid", f"cer_{name}").values
        weights = history.series("train", f"q_{name}").values
        change = cers[-1] - cers[-2] if len(cers) > 1 else math.nan
        weight = weights[-1] if len(weights) else math.nan
        found.append(LanguageLine(name, cers[-1], change, cers, weight))
    return sorted(found, key=lambda one: (math.isnan(one.cer), -one.cer, one.name))


def _epoch_words(state: RunState) -> str:
    return f"epoch {state.epoch}" + (f"/{state.max_epoch}" if state.max_epoch else "")


def _head(state: RunState, look: Look) -> list[str]:
    colour = COLOURS.get(state.condition, "dim")
    name = look.paint(look.cut(state.name), "bold")
    condition = look.paint(look.cut(state.words), colour)
    fits = len(state.name) + 2 + len(state.words) <= look.width
    lines = [f"{name}  {condition}"] if fits else [name, condition]
    share = state.done / state.total if state.total else None
    words = [_epoch_words(state)]
    if share is not None:
        words += [f"{bar(share, max(8, look.width // 5), look.glyphs)} {100 * share:.0f} %"]
    total = f"/{state.total:,}" if state.total else ""
    words += [f"batches {state.done:,}{total}"]
    words += [f"updates {state.updates:,}"] if state.updates is not None else []
    if state.seconds_left is not None:
        words.append(f"{duration_words(state.seconds_left)} left")
    lines += [look.cut("  ".join(words)), look.cut(_signs(state))]
    return [*lines, ""]


def _signs(state: RunState) -> str:
    ages = {"last sign": state.sign_age, "checkpoint": state.checkpoint_age}
    words = [f"{name} {duration_words(age)} ago" for name, age in ages.items() if age is not None]
    if state.checkpoint_age is None:
        words.append("no checkpoint yet")
    words.append(f"skipped steps {state.num_skipped}")
    rate = state.history.series("train", "optim0_lr0", whole=False).values
    rate = rate[np.isfinite(rate)]
    words += [f"learning rate {rate[-1]:.3g}"] if len(rate) else []
    return "  ".join(words)


def _losses(state: RunState, look: Look) -> list[str]:
    """The loss of training, within epochs too, and that of validation."""
    history = state.history
    steps = history.series("train", "loss", whole=False)
    epochs = history.series("train", "loss")
    valid = history.series("valid", "loss")
    inner = (_fractions(steps, epochs), steps.values) if len(steps.values) else epochs[1:]
    glyphs = look.glyphs
    lines = [(*inner, glyphs.line), (valid.epochs, valid.values, glyphs.mark)]
    rows = curve(lines, min(look.width, 110), CURVE_ROWS, glyphs)
    if not rows:
        return []
    last = next((f"{each.values[-1]:.4g}" for each in (steps, epochs) if len(each.values)), "-")
    latest = [f"{glyphs.line} training {last}"]
    latest += [f"{glyphs.mark} dev {valid.values[-1]:.4g}"] if len(valid.values) else []
    return [look.cut(f"Loss   {'   '.join(latest)}"), *map(look.cut, rows), ""]


def _fractions(steps, epochs) -> np.ndarray:
    """Epochs gone by at each report within an epoch, such as 2.5 in the middle of the third."""
    length = float(epochs.steps[-1] / epochs.epochs[-1]) if len(epochs.steps) else 0.0
    length = length or max(1.0, float(steps.steps[-1]))
    return steps.steps / length


def _table(found: list[LanguageLine], look: Look, room: int | None) -> list[str]:
    """A row for each language while there is room; what does not fit is counted."""
    if not found or (room is not None and room < 3):
        return []
    macro = 100 * float(np.nanmean([language.cer for language in found]))
    best = min(_worst_by_epoch(found), default=math.nan)
    title = f"Dev CER   macro {macro:.1f} %   worst {found[0].name} {100 * found[0].cer:.1f} %"
    title += f" (the least so far {100 * best:.1f} %)"
    wide = max(8, *(len(language.name) for language in found[:200]))
    head = f"{'language':<{wide}}    CER  change  {'trend':<{TREND}}"
    has_weights = any(math.isfinite(language.weight) for language in found)
    head += "      q" if has_weights else ""
    most = len(found) if room is None else room - 2
    if 1 < most < len(found):
        most -= 1  # for the line that counts the others
    top = max((one.weight for one in found if math.isfinite(one.weight)), default=1.0)
    rows = [_row(language, wide, top, look) for language in found[:most]]
    rows = [look.paint(row, "red") if not n else row for n, row in enumerate(rows)]
    if 1 < most < len(found):
        others = look.cut(f"{look.glyphs.more} and {len(found) - most} better ones")
        rows.append(look.paint(others, "dim"))
    return [look.paint(look.cut(title), "bold"), look.paint(look.cut(head), "dim"), *rows]


def _row(language: LanguageLine, wide: int, top: float, look: Look) -> str:
    change = f"{100 * language.change:+.1f}" if math.isfinite(language.change) else ""
    row = f"{language.name:<{wide}} {100 * language.cer:6.1f} {change:>7}  "
    row += trend(language.cers, TREND, look.glyphs)
    if math.isfinite(language.weight):
        width = min(30, look.width - len(row) - 9)
        drawn = bar(language.weight / top, width, look.glyphs) if width >= 4 else ""
        row += f"  {language.weight:5.3f} {drawn.rstrip(look.glyphs.empty)}"
    return look.cut(row.rstrip())


def _worst_by_epoch(found: list[LanguageLine]) -> list[float]:
    """The greatest CER of each epoch in which all groups were scored."""
    length = min(len(language.cers) for language in found)
    if not length:
        return []
    worst = np.stack([language.cers[-length:] for language in found]).max(axis=0)
    return worst[np.isfinite(worst)].tolist()


def _warnings(state: RunState, look: Look) -> list[str]:
    """The latest different ones, the newest last, with how often the log has them."""
    if not state.warnings:
        return []
    counts: dict[str, tuple[str, int]] = {}
    for time, words in state.warnings:
        text = "".join(char if char.isprintable() else " " for char in words)
        _, count = counts.pop(text, ("", 0))
        counts[text] = (time, count + 1)
    latest = list(counts.items())[-WARNINGS:]
    lines = [
        look.cut(f"{time} {text}" if count == 1 else f"{time} ({count} times) {text}")
        for text, (time, count) in latest
    ]
    return [
        "",
        look.paint(look.cut("Warnings"), "bold"),
        *(look.paint(line, "yellow") for line in lines),
    ]
