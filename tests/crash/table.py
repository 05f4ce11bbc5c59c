"""The table of kills, and its place in the documentation."""

import re
import statistics
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "durability.md"
HEAD = (
    "| killed in | kills | changed twice | change lost | other end | median | 9 in 10 | slowest |\n"
    "| --- | --: | --: | --: | --: | --: | --: | --: |\n"
)
CHANGING = "a change under way"
ALL = "**all others**"


def table_of(rounds, expected):
    """Kills by the part of the page that they happened in."""
    parts = {item.part: [] for item in sorted(rounds, key=lambda each: each.written)}
    for item in rounds:
        if not item.changing:
            parts[item.part].append(item)
    others = [item for item in rounds if not item.changing]
    rows = {**parts, ALL: others, CHANGING: [item for item in rounds if item.changing]}
    return HEAD + "".join(_row(name, row, expected) for name, row in rows.items() if row)


def write_down(name, table):
    """Put a table between its markers in the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = f"<!-- kills, {name} -->\n", f"<!-- end of kills, {name} -->"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    fresh, found = re.subn(pattern, lambda _: f"{begin}{table}{end}", text, flags=re.DOTALL)
    assert found == 1, f"{DOCUMENT} has no place for {name}"
    DOCUMENT.write_text(fresh, encoding="utf-8")


def _row(name, rounds, expected):
    twice = sum(len(item.end.changes) > len(expected.changes) for item in rounds)
    lost = sum(len(item.end.changes) < len(expected.changes) for item in rounds)
    other = sum(item.end != expected for item in rounds)
    times = _times(rounds)
    nine_in_ten = times[max(0, round(0.9 * len(times)) - 1)] if times else None
    spread = (statistics.median(times) if times else None, nine_in_ten, max(times, default=None))
    cells = [name, len(rounds), twice, lost, other, *(f"{item:.1f} s" if item else "-" for item in spread)]
    return f"| {' | '.join(map(str, cells))} |\n"


def _times(rounds):
    """Times to continue, shortest first; a run that was over has none."""
    return sorted(item.seconds for item in rounds if item.seconds is not None)
