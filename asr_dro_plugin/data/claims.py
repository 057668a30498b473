"""Durations that a table declares, held against the sound that is there.

A file that was cut keeps the duration of before in its table, and its full text; a table may be in
another unit than seconds.
"""

NOT_AS_DECLARED = "not as long as declared"
BEYOND = "segment ends after its recording"
SEGMENT_SLACK = 0.5  # seconds a segment may end after its recording, as in Kaldi
SLACK, SHARE = 0.25, 0.05  # of what is there: codecs add and take a little, tables are rounded
WHOLE_SECONDS = 1.0  # the slack of a duration without decimals


def fault(declared: float, there: float, rate: float) -> str:
    """What is wrong with a declared duration; empty where nothing is.

    Args:
        declared: what the table says, meant as seconds.
        there: seconds of sound.
        rate: Hz, for tables that count samples.
    """
    slack = WHOLE_SECONDS if float(declared).is_integer() else SLACK
    if abs(declared - there) <= max(slack, SHARE * there):
        return ""
    return f"{declared:.5g} s declared, {there:.3g} s there{_unit(declared, there, rate)}"


def fault_of_end(end: float, there: float, rate: float) -> str:
    """What is wrong with a piece that ends at ``end`` in ``there`` seconds of sound."""
    if end - there <= SEGMENT_SLACK:
        return ""
    beyond_any = end / 100 > there  # more than a slip
    means = [unit for unit, size in _units(rate) if beyond_any and end / size <= there + SLACK]
    hint = f": {means[0]} instead of seconds?" if means else ""
    return f"ends at {end:.5g} s of {there:.3g} s{hint}"


def _units(rate: float) -> list[tuple[str, float]]:
    """Units that tables count in, and how many of each are a second."""
    return [("milliseconds", 1000), ("samples", rate), ("minutes", 1 / 60), ("microseconds", 1e6)]


def _unit(declared: float, there: float, rate: float) -> str:
    """Words for the unit that explains a declared duration, if one does."""
    for unit, size in _units(rate):
        if abs(declared / size - there) <= max(0.01, 0.01 * there):
            return f": {unit} instead of seconds, divide by {size:.6g}"
    return ""
