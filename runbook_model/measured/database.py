"""A database as it was found: sessions, locks and connections, and the RDS instance below it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Literal

from runbook_model.fact import Fact
from runbook_model.text.durations import format_duration
from runbook_model.text.redaction import excerpt

QUERY = 200
"""Characters of a statement that are kept."""

IDLE_IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")

_NAME = r"\"(?:[^\"]|\"\")*+\""
_COMMENT = r"--[^\n]*+|/\*(?:[^*/]|\*(?!/)|/(?!\*)|/\*.*?(?:\*/|$))*+(?:\*/|$)"
_LITERAL = (
    r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|$)"
    r"|\b[eE]'(?:[^'\\]|\\.|'')*+(?:'|\\?$)"
    r"|(?:\b(?:[bBxXnN]|[uU]&))?'(?:[^']|'')*+(?:'|$)"
    r"|(?<![\w$.])-?\d[\w.]*+"
)
"""The last string may be cut off: PostgreSQL keeps the first kilobyte of a statement."""
_TOKENS = re.compile(rf"(?P<name>{_NAME})|(?P<comment>{_COMMENT})|{_LITERAL}", re.DOTALL)

_BACKUP = re.compile(r"backup|pg_?dump|backrest|barman|\bwal-[eg]\b", re.IGNORECASE)

Standing = Literal["serves", "full", "pooler-full", "down", "silent", "denied"]
"""``full`` and ``denied`` refused us, ``pooler-full`` is a pooler's refusal; ``down`` takes no connections; ``silent`` gave no
answer, or cannot be reached.
"""


class SessionName(Fact):
    """One very session: process ids are used again, starts to the microsecond are not."""

    pid: int
    backend_start: datetime


class Session(Fact):
    """A connection of a client."""

    name: SessionName
    database: str
    role: str
    application: str
    state: str
    """``active``, ``idle``, ``idle in transaction`` …; empty where our role may not see it."""
    lasts: timedelta
    """How long it has been in this state."""
    query: str = ""
    """Its last statement, without literals."""

    @property
    def owner(self) -> str:
        """The application that it belongs to: what stands before a ``/`` in ``application_name``, else the role."""
        return self.application.partition("/")[0].strip() or self.role

    @property
    def backs_up(self) -> bool:
        """Whether it seems to be a backup: such a session holds a transaction for hours, and means to."""
        return bool(_BACKUP.search(f"{self.application} {self.role}"))

    @property
    def summary(self) -> str:
        """Who it is, as text."""
        return f"pid {self.name.pid} of {self.application or self.role}, {self.state} for {format_duration(self.lasts)}"


class HeldConnections(Fact):
    """How many connections an application holds in one state."""

    owner: str
    database: str
    state: str
    count: int
    longest: timedelta


class LockWait(Fact):
    """A session that waits for a lock."""

    waits: Session
    blockers: tuple[int, ...]
    """Process ids of the sessions that it waits for."""
    seen: int = 1
    """How many of the samples saw it wait."""


class TableLock(Fact):
    """A table that a session idle in a transaction holds locked, so that others cannot write to it, or not even read it."""

    pid: int
    table: str
    mode: str
    """As in ``pg_locks``: ``AccessExclusiveLock`` keeps readers out too."""


class Statement(Fact):
    """A statement that took long on average."""

    query: str
    calls: int
    mean: timedelta


class DatabaseRead(Fact):
    """A database as it was found. Where it does not serve, ``why`` is all there is."""

    standing: Standing
    why: str = ""
    version: str = ""
    database: str = ""
    standby: bool = False
    """Whether it only repeats another server's changes: nothing can be written to it."""
    limit: int = 0
    """``max_connections``."""
    reserved: int = 0
    """Connections of these that are held back from services."""
    samples: int = 1
    """How many times it was looked at; what follows is merged from all of them."""
    used: int = 0
    """Connections of clients, without our own: the median of the samples."""
    used_at_most: int = 0
    hidden: int = 0
    """Sessions that our role may not look into."""
    held: tuple[HeldConnections, ...] = ()
    """Most connections first."""
    idle: tuple[Session, ...] = ()
    """Sessions of this database that are idle in a transaction, the longest first."""
    longest: tuple[Session, ...] = ()
    """The sessions that have been at work the longest."""
    lock_waits: tuple[LockWait, ...] = ()
    """Every session that any sample saw wait, with the longest that it did."""
    samples_with_waits: int = 0
    blockers: tuple[Session, ...] = ()
    """The sessions that those wait for."""
    table_locks: tuple[TableLock, ...] = ()
    slowest: tuple[Statement, ...] = ()
    at: datetime

    @property
    def open_to_services(self) -> int:
        """How many connections services may have together."""
        return max(1, self.limit - self.reserved)

    @property
    def summary(self) -> str:
        """What was found, in one sentence."""
        if self.standing != "serves":
            return f"{self.standing}: {self.why}"
        return f"it serves; {self.used} of {self.open_to_services} connections are used"


class Connected(Fact):
    """Whether the database could be connected to, and how much room it has."""

    full: float = 1.0
    """The catalog's share of the connections at which the database counts as full."""

    ok: bool
    why: str = ""
    used: int = 0
    open_to_services: int = 1
    took: timedelta = timedelta(0)
    at: datetime

    @property
    def share(self) -> float:
        """How much of the connections that services may have is used."""
        return self.used / self.open_to_services

    @property
    def serves(self) -> bool:
        """Whether it accepts connections and has room for those of services."""
        return self.ok and self.share < self.full

    @property
    def summary(self) -> str:
        """What came of it, in one sentence."""
        if not self.ok:
            return f"no connection: {self.why}"
        return f"connected in {format_duration(self.took)}; {self.used} of {self.open_to_services} connections are used"


class Terminated(Fact):
    """What became of the sessions that were to be ended."""

    ended: tuple[SessionName, ...] = ()
    gone: tuple[SessionName, ...] = ()
    """Were not there any more: ended by themselves, or by an attempt before."""
    spared: tuple[SessionName, ...] = ()
    """Left alone: no longer idle in a transaction, or not for long enough."""
    stayed: tuple[SessionName, ...] = ()
    """Asked to end, but still there."""

    @property
    def summary(self) -> str:
        """What came of it, in one sentence."""
        counts = (
            ("ended", self.ended),
            ("gone already", self.gone),
            ("active again and left alone", self.spared),
            ("still there", self.stayed),
        )
        return ", ".join(f"{len(names)} {words}" for words, names in counts if names) or "nothing to end"


def without_literals(statement: str) -> str:
    """Return a statement with ``?`` for its strings and numbers, without comments, redacted, on one line and cut."""
    return excerpt(_TOKENS.sub(_without_literal, statement), QUERY)


def _without_literal(token: re.Match[str]) -> str:
    return token["name"] or (" " if token["comment"] else "?")


AVAILABLE, REBOOTING = "available", "rebooting"


class Instance(Fact):
    """An instance as RDS reports it."""

    name: str
    status: str
    """``available``, ``rebooting``, ``stopped``, ``storage-full`` …"""
    engine: str = ""
    multi_az: bool = False
    restarted: datetime | None = None
    """When its newest event of a restart was, of those of the last hour."""

    @property
    def essence(self) -> str:
        """What a reboot is planned on."""
        return f"{self.status} {self.restarted.isoformat() if self.restarted else 'never'}"

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        when = f", last restarted {self.restarted:%Y-%m-%d %H:%M:%S} UTC" if self.restarted else ""
        return f"{self.name} is {self.status}{when}"
