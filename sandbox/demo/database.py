"""A release's faults, read from its environment, and the demo service's use of its database: a connection per task, and what a leak keeps."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from sandbox.postgres.wire import Connection, DatabaseError, LockedError

_TRUE = {"1", "true", "yes", "on"}

_FALSE = {"", "0", "false", "no", "off"}


class FaultError(Exception):
    """A FAULT_* variable holds something that cannot be meant."""


@dataclass(frozen=True)
class Faults:
    """What is wrong with this release; the default is nothing."""

    error_rate: float = 0.0
    """Share of requests that answer 500, 0 to 1."""
    latency_seconds: float = 0.0
    """Added to every request."""
    crash_after_seconds: float | None = None
    """The process exits with code 1 so long after its start; None is never."""
    refuse_after_seconds: float | None = None
    """The process lives on but accepts no connections so long after its start; None is never."""
    unhealthy: bool = False
    """``/health`` answers 503 while the service works."""
    cpu: float = 0.0
    """Cores burnt."""
    leak_mb_per_second: float = 0.0
    """Memory taken and never given back."""
    requests_at_once: int = 0
    """Requests that a task works on at once; more are refused with 503. 0 is no bound."""
    db_connections: int = 0
    """Connections that each task takes and leaves idle in a transaction; none where there is no database."""


def faults_from(environment: Mapping[str, str]) -> Faults:
    """Read the FAULT_* variables.

    Raises:
        FaultError: names the variable and what it may hold.
    """
    return Faults(
        error_rate=_number(environment, "FAULT_ERROR_RATE", most=1.0),
        latency_seconds=_number(environment, "FAULT_LATENCY_SECONDS"),
        crash_after_seconds=_moment(environment, "FAULT_CRASH_AFTER_SECONDS"),
        refuse_after_seconds=_moment(environment, "FAULT_REFUSE_AFTER_SECONDS"),
        unhealthy=_flag(environment, "FAULT_UNHEALTHY"),
        cpu=_number(environment, "FAULT_CPU"),
        leak_mb_per_second=_number(environment, "FAULT_LEAK_MB_PER_SECOND"),
        requests_at_once=int(_number(environment, "FAULT_REQUESTS_AT_ONCE")),
        db_connections=int(_number(environment, "FAULT_DB_CONNECTIONS")),
    )


def _moment(environment: Mapping[str, str], name: str) -> float | None:
    return _number(environment, name) if environment.get(name) else None


def _number(environment: Mapping[str, str], name: str, most: float = 1e6) -> float:
    text = environment.get(name, "") or "0"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise FaultError(f"{name}={text!r} must be a number from 0 to {most:g}")
    return number


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise FaultError(f"{name}={text!r} must be true or false")


TIMEOUT_SECONDS = 3.0

LIFETIME_SECONDS = 2.0
"""A connection is given back after it was used when it is older, as pools do; the next request takes another, if there is one."""

RETRY_SECONDS = 0.25
"""After a refusal all requests fail for so long, before the next attempt."""

PATIENCE_SECONDS = 3.0
"""So long after its start a task waits for the database: both may be starting."""

LEAK_AGAIN_SECONDS = 0.1

LOCK_TIMEOUT_SECONDS = 2.0
"""Settings that are locked for longer are taken as they were read last: the service is slow then, and does not fail."""

STATEMENT = "SELECT value FROM settings"


class Database:
    """The connection that a task's requests share."""

    def __init__(self, dsn: str, application: str) -> None:
        self._dsn = dsn
        self._application = application
        self._patient_until = time.monotonic() + PATIENCE_SECONDS
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._old_at = 0.0
        self._refused: tuple[float, DatabaseError] | None = None
        self._locked_at = 0.0

    def ask(self) -> None:
        """Do what a request does in the database: read the settings.

        Raises:
            DatabaseError: it cannot be done.
        """
        asked_at = time.monotonic()
        with self._lock:
            if self._locked_at > asked_at:
                return  # another request has just waited for them in vain
            try:
                self._connected().execute(STATEMENT)
            except LockedError:
                self._locked_at = time.monotonic()
                self._drop()
            except DatabaseError:
                self._drop()
                raise
            if time.monotonic() > self._old_at:
                self._drop()

    def leak(self, connections: int) -> NoReturn:
        """Take so many connections and leave each in a transaction; those that are refused are taken when there is room."""
        kept: list[Connection] = []
        while len(kept) < connections:
            try:
                taken = self._connect()
                taken.execute("BEGIN; SELECT 1")
            except DatabaseError:
                time.sleep(LEAK_AGAIN_SECONDS)
            else:
                kept.append(taken)
        while True:
            time.sleep(3600)  # or they would be closed at the end of this

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect_patiently()
            self._old_at = time.monotonic() + LIFETIME_SECONDS
        return self._connection

    def _connect_patiently(self) -> Connection:
        if self._refused and time.monotonic() < self._refused[0] + RETRY_SECONDS:
            raise self._refused[1]
        while True:
            try:
                return self._connect()
            except DatabaseError as error:
                if time.monotonic() > self._patient_until:
                    self._refused = (time.monotonic(), error)
                    raise
                time.sleep(RETRY_SECONDS)

    def _connect(self) -> Connection:
        return Connection(self._dsn, self._application, TIMEOUT_SECONDS, LOCK_TIMEOUT_SECONDS)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
