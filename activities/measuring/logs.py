"""Error lines of a service's logs: how many, the newest, and the dependencies that they name.

Whether a line reports about an error is seen by its level, as loggers write it: JSON, logfmt, in brackets, in capitals.
"""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.cloudwatch.logs import PATTERN, filter_error_events
from activities.docker.reading import read_lines, read_project
from activities.runtime.fence import unread
from runbook_model.catalog.target import Target
from runbook_model.errors import InputError, OutsideError
from runbook_model.measured.symptoms import LogsRead
from runbook_model.text.durations import format_duration
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from activities.measuring.sources import Sources

LINE = 200
"""Characters of an excerpt."""

NEWEST = 10
"""Lines that are kept."""

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

_BAD = r"err|error|crit|critical|fatal|panic|dpanic|emerg|emergency|alert|severe|failure"

_FINE = r"trace|debug|verbose|info|information|informational|notice|warn|warning"

_NAME = r"(?:log[._]?)?(?:level|lvl|severity|level_?name|severity_?text)"

LOOKED_AT = 4000
"""Characters of a line: who names its level does it early."""

NUMBERS = frozenset({"50", "60"})
"""Levels ``error`` and ``fatal`` of pino and bunyan; other loggers' numbers mean other things."""

_JSON = re.compile(
    rf'"[@_]?{_NAME}"\s*:\s*(?:"(?P<word>[^"\\]{{0,40}})"|(?P<number>\d{{1,3}})\b)', re.IGNORECASE
)

_LOGFMT = re.compile(
    rf'(?:^|\s){_NAME}=(?P<quote>["\']?)(?P<word>\w{{1,40}})(?P=quote)(?=\s|$)', re.IGNORECASE
)

_WORD = re.compile(rf"(?:{_BAD})", re.IGNORECASE)

_FINE_AT_THE_BEGINNING = re.compile(
    rf"^[^A-Za-z]{{0,80}}(?:[A-Z]?\d[\w:.,+-]*[^A-Za-z]{{1,20}})?\W{{0,3}}(?:{_FINE})\b", re.IGNORECASE
)

_CAPITALS = re.compile(r"\b(?:ERROR|CRITICAL|CRIT|FATAL|PANIC|SEVERE|EMERG|ALERT)\b")

_RAISED = re.compile(r"\bTraceback\b|Exception\b|\bpanic: |\b[A-Z]\w*Error: ")

_ANY_CASE = re.compile(rf"(?:^|[\[<(|]\s*(?:\w+:)?|\s)(?:{_BAD})(?:\s*[\]>)|]|:\s|:$)", re.IGNORECASE)


async def measure_error_lines(sources: Sources, target: Target, span: timedelta, now: datetime) -> LogsRead:
    """Read the error lines of the last while; what cannot be read is in the answer."""
    query = f'FilterLogEvents {target.log_group} "{target.error_pattern or PATTERN}"'
    if target.platform == "compose":
        query = f"error lines of {target.compose_project}/{target.compose_service}"
    asked = LogsRead(
        quality="no-data", why="the catalog names no log group", source="logs", query=query, at=now, span=span
    )
    if target.platform != "compose" and target.log_group is None:
        return asked
    try:
        lines, complete = await asyncio.to_thread(_fetch, sources, target, now - span, now)
    except (OutsideError, InputError) as error:
        return unread(asked, error)
    if not lines and not complete:
        return asked.unanswered(f"there are more lines in {format_duration(span)} than are read")
    # In a thread: thousands of long lines take longer than heartbeats may.
    return await asyncio.to_thread(_sum_up, asked, lines, complete=complete)


def _fetch(sources: Sources, target: Target, since: datetime, until: datetime) -> tuple[list[str], bool]:
    """Read the error lines as they are, oldest first, and whether these are all; blocks."""
    if target.platform == "compose":
        project = read_project(sources.engine, target)
        lines, complete = read_lines(sources.engine, project, since, until)
    else:
        lines, complete = filter_error_events(sources.aws, target, since, until)
    own = re.compile(target.error_pattern) if target.error_pattern else None
    return [text for _, text in sorted(lines) if (own.search(text) if own else is_error(text))], complete


def _sum_up(asked: LogsRead, lines: list[str], *, complete: bool) -> LogsRead:
    about = [line for line in map(_ends, lines) if _ANY.search(line)]
    named = {word: sum(1 for line in about if found.search(line)) for word, found in _WORDS.items()}
    return asked.answered(
        count=len(lines),
        complete=complete,
        newest=tuple(excerpt(line, LINE) for line in lines[-NEWEST:]),
        dependencies={word: count for word, count in named.items() if count},
        about_dependencies=len(about),
    )


def _ends(line: str) -> str:
    """Return where an error names its cause: a long line's start, or its end, as a traceback does."""
    return line if len(line) <= 2 * END else f"{line[:END]} {line[-END:]}"


def is_error(line: str) -> bool:
    """Whether the line's own level is an error or worse; without a level, whether its words say so."""
    head = line[:LOOKED_AT]
    if found := _JSON.search(head) or _LOGFMT.search(head):
        named = found.groupdict()
        if (number := named.get("number")) is not None:
            return number in NUMBERS
        return bool(_WORD.fullmatch(named["word"].strip()))
    if _CAPITALS.search(line) or _RAISED.search(line):
        return True
    return bool(_ANY_CASE.search(head)) and not _FINE_AT_THE_BEGINNING.search(head)
