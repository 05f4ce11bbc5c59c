"""How many error lines the service writes, and the newest of them, by CloudWatch Logs or its containers. Evidence; it never decides."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.logs import filter_error_events
from activities.docker.reading import read_lines, read_project
from runbook_model.durations import format_duration
from runbook_model.fact import Fact
from runbook_model.readings import Quality, Reading
from runbook_model.redaction import excerpt

if TYPE_CHECKING:
    from activities.measuring.sources import Sources
    from runbook_model.catalog.catalog import Target

ERROR_LINE = re.compile(r"\b(?:ERROR|CRITICAL|FATAL|PANIC|Traceback)\b|Exception\b")
"""The same again: what only simulates CloudWatch may let every line pass."""
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
    return [one for one in lines if ERROR_LINE.search(one[1])], complete


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
