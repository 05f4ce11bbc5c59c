"""What benchmarks share: a table for people, JSON for programs, and the table's place in docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def publish(name: str, rows: list[dict[str, object]]) -> None:
    """Print rows as a table, keep them as JSON, and put the table between its markers in the docs."""
    table = _table(rows)
    print(table, flush=True)
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    kept = {
        "benchmark": name,
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine,
        "rows": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    _into_the_page(name, table)


def median(values: list[float]) -> float:
    """Return the value that half of them do not exceed."""
    return statistics.median(values)


def p95(values: list[float]) -> float:
    """Return the value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def _table(rows: list[dict[str, object]]) -> str:
    lines = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    drawn = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([drawn[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *drawn[1:]])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return str(value)


def _into_the_page(name: str, table: str) -> None:
    begins, ends = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if begins in text:
        before, _, rest = text.partition(begins)
        PAGE.write_text(f"{before}{begins}{table}\n{rest[rest.index(ends) :]}", encoding="utf-8")
