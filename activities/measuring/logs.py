"""Error lines of a service's logs: their rate as a reading, the newest and the dependencies they name as evidence."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.logs import PATTERN, filter_error_events
from activities.docker.reading import read_lines, read_project
from activities.runtime.passing import try_again_if_it_passes
from runbook_model.durations import format_duration
from runbook_model.errors import InputError, OutsideError
from runbook_model.fact import Fact
from runbook_model.log_levels import is_error
from runbook_model.readings import Quality, Reading
from runbook_model.redaction import excerpt
from runbook_model.symptoms import LogsRead

if TYPE_CHECKING:
    from activities.measuring.sources import Sources
    from runbook_model.catalog.catalog import Target

NEWEST = 3

LINE = 200
"""Characters of an excerpt."""

SHORTEST = timedelta(seconds=10)
"""Less time than this is not made into a rate a minute."""


class ErrorLines(Fact):
    """Error lines of a log group over a time."""

    count: int
    newest: tuple[str, ...]
    """The last few, oldest first; redacted and cut."""
    complete: bool
    """False when there were more pages than are read: the count is then a lower bound."""


def has_logs(target: Target) -> bool:
    """Whether there is anywhere to read the target's logs from."""
    return target.platform == "compose" or target.log_group is not None


async def read_log_errors(sources: Sources, target: Target, since: datetime, now: datetime) -> Reading:
    """Count the error lines since a moment, a rate window back at most.

    Raises:
        OutsideError: the log group cannot be read.
    """
    if not has_logs(target):
        return _reading(Quality.NO_DATA, "the catalog names no log group", now)
    since = max(since, now - max(target.verify.rate_window, SHORTEST))
    lines = await asyncio.to_thread(fetch_error_lines, sources, target, since, now)
    spanned = now - since
    value = lines.count / (max(spanned, SHORTEST) / timedelta(minutes=1))
    if not lines.count and not lines.complete:
        return _reading(
            Quality.NO_DATA, f"there are more lines in {format_duration(spanned)} than are read", now
        )
    bound = "" if lines.complete else "at least "
    return _reading(
        Quality.BAD if lines.count else Quality.GOOD,
        f"{bound}{lines.count} error {'line' if lines.count == 1 else 'lines'} in {format_duration(spanned)}",
        now,
        value=value,
        newest=lines.newest,
    )


def fetch_error_lines(sources: Sources, target: Target, since: datetime, until: datetime) -> ErrorLines:
    """Read the error lines of the target; blocks.

    Raises:
        OutsideError: it cannot be read.
    """
    found, complete = fetch_error_events(sources, target, since, until)
    newest = sorted(found)[-NEWEST:]
    return ErrorLines(
        count=len(found), newest=tuple(excerpt(text, LINE) for _, text in newest), complete=complete
    )


def fetch_error_events(
    sources: Sources, target: Target, since: datetime, until: datetime
) -> tuple[list[tuple[int, str]], bool]:
    """Read time and text of the error lines, as they are, and whether these are all; blocks.

    Raises:
        OutsideError: the logs cannot be read.
    """
    if target.platform == "compose":
        project = read_project(sources.engine, target)
        lines, complete = read_lines(sources.engine, project, since, until)
    else:
        lines, complete = filter_error_events(sources.aws, target, since, until)
    own = re.compile(target.error_pattern) if target.error_pattern else None
    return [one for one in lines if (own.search(one[1]) if own else is_error(one[1]))], complete


def _reading(
    quality: Quality, detail: str, now: datetime, *, value: float | None = None, newest: tuple[str, ...] = ()
) -> Reading:
    return Reading(
        kind="log-errors",
        quality=quality,
        value=value,
        detail=detail,
        source="logs",
        excerpt=newest,
        decides=False,
        at=now,
    )


SHORTEST_LOOK = timedelta(minutes=1)

NEWEST_SHOWN = 10

END = 500
"""Characters that are looked at on either end of a line."""

DEPENDENCIES = {
    "database": r"database|postgres\w*|psycopg\w*|mysql|sqlalchemy|deadlock|too many (?:connections|clients)",
    "connection": r"connections?|could not connect|dial tcp|econn\w+|broken pipe|unreachable",
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
    span = max(2 * target.verify.rate_window, SHORTEST_LOOK)
    query = f'FilterLogEvents {target.log_group} "{target.error_pattern or PATTERN}"'
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
    if not lines and not complete:
        return asked.model_copy(update={"why": "there are more lines than are read"})
    about = [line for line in map(_ends, lines) if _ANY.search(line)]
    named = {word: sum(1 for line in about if found.search(line)) for word, found in _WORDS.items()}
    return asked.model_copy(
        update={
            "quality": "known",
            "why": "",
            "count": len(lines),
            "complete": complete,
            "newest": tuple(excerpt(line, LINE) for line in lines[-NEWEST_SHOWN:]),
            "dependencies": {word: count for word, count in named.items() if count},
            "about_dependencies": len(about),
        }
    )


def _ends(line: str) -> str:
    """Return where an error names its cause: a long line's beginning, or its end, as a traceback does."""
    return line if len(line) <= 2 * END else f"{line[:END]} {line[-END:]}"
