"""The demo service's use of its database: one connection per task, and those that a leaking release never gives back."""

from __future__ import annotations

import threading
import time
from typing import NoReturn

from sandbox.postgres_wire import Connection, DatabaseError, LockedError

TIMEOUT_SECONDS = 3.0
LIFETIME_SECONDS = 2.0
"""A connection is replaced when it is older, as pools do; so a task soon feels that the database has none left."""
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
                self._fresh().execute(STATEMENT)
            except LockedError:
                self._locked_at = time.monotonic()
                self._drop()
            except DatabaseError:
                self._drop()
                raise

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

    def _fresh(self) -> Connection:
        if self._connection is None or time.monotonic() > self._old_at:
            self._drop()
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
