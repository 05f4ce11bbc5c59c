"""The error lines of the last minutes, and which dependencies they name."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.logs import PATTERN
from activities.measuring.logs import LINE, fetch_error_events, has_logs
from activities.runtime.passing import try_again_if_it_passes
from runbook_model.errors import InputError, OutsideError
from runbook_model.redaction import excerpt
from runbook_model.symptoms import LogsRead

if TYPE_CHECKING:
    from datetime import datetime

    from activities.measuring.sources import Sources
    from runbook_model.catalog.catalog import Target

SHORTEST = timedelta(minutes=1)
NEWEST = 10
END = 500
"""Characters that are looked at on either end of a line."""
DEPENDENCIES = {
    "database": r"database|postgres\w*|psycopg\w*|mysql|sqlalchemy|deadlock|too many (?:connections|clients)",
    "connection": r"connections?|could not connect|econn\w+|broken pipe|unreachable",
    "timeout": r"time(?:d)?[ -]?out|deadline exceeded",
    "name": r"name or service not known|nxdomain|getaddrinfo|enotfound|name resolution",
    "upstream": r"upstream|bad gateway|service unavailable",
    "queue": r"redis|memcached?|kafka|rabbitmq|amqp",
}
"""Word -> what in a line names it; a line may name several."""
_ANY = re.compile(rf"\b(?:{'|'.join(DEPENDENCIES.values())})\b", re.IGNORECASE)
_WORDS = {word: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) for word, pattern in DEPENDENCIES.items()}


async def read_recent_logs(sources: Sources, target: Target, now: datetime) -> LogsRead:
    """Read the error lines of two rate windows, a minute at least; what cannot be read is in the answer."""
    span = max(2 * target.verify.rate_window, SHORTEST)
    query = f'FilterLogEvents {target.log_group} "{PATTERN}"'
    if target.platform == "compose":
        query = f"error lines of {target.compose_project}/{target.compose_service}"
    asked = LogsRead(
        quality="no-data", why="the catalog names no log group", source="logs", query=query, at=now, span=span
    )
    if not has_logs(target):
        return asked
    try:
        events, complete = await asyncio.to_thread(fetch_error_events, sources, target, now - span, now)
    except (OutsideError, InputError) as error:
        try_again_if_it_passes(error)
        return asked.model_copy(update={"quality": "error", "why": str(error)[:500]})
    # In a thread: thousands of long lines take longer than heartbeats may.
    return await asyncio.to_thread(_sum_up, asked, events, complete=complete)


def _sum_up(asked: LogsRead, events: list[tuple[int, str]], *, complete: bool) -> LogsRead:
    lines = [text for _, text in sorted(events)]
    about = [line for line in map(_ends, lines) if _ANY.search(line)]
    named = {word: sum(1 for line in about if found.search(line)) for word, found in _WORDS.items()}
    return asked.model_copy(
        update={
            "quality": "known",
            "why": "",
            "count": len(lines),
            "complete": complete,
            "newest": tuple(excerpt(line, LINE) for line in lines[-NEWEST:]),
            "dependencies": {word: count for word, count in named.items() if count},
            "about_dependencies": len(about),
        }
    )


def _ends(line: str) -> str:
    """Return where an error names its cause: a long line's beginning, or its end, as a traceback does."""
    return line if len(line) <= 2 * END else f"{line[:END]} {line[-END:]}"
