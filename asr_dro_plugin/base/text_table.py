"""Tables as plain text, for the terminal."""

from collections.abc import Sequence

GAP = 2  # spaces between columns


def aligned(
    rows: Sequence[Sequence[str]], rules: Sequence[int] = (), num_left: int = 1
) -> list[str]:
    """Lines of a table: the first columns to the left, the others to the right.

    Args:
        rows: cells, all rows of equal length.
        rules: row numbers above which a ruled line goes.
        num_left: how many columns go to the left.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        if number in rules:
            lines.append("-" * (sum(widths) + GAP * (len(widths) - 1)))
        cells = [
            cell.ljust(width) if column < num_left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((" " * GAP).join(cells).rstrip())
    return lines
