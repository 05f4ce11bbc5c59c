"""As much of PostgreSQL's protocol as the demo service needs: a driver would take longer to import than all the rest.

It logs in without a password, runs statements and throws their rows away. After any error the connection is of no use.
"""

from __future__ import annotations

import socket
import struct
from urllib.parse import urlsplit

PROTOCOL = 196608
"""Version 3.0."""


LOCK_NOT_AVAILABLE = "55P03"


class DatabaseError(Exception):
    """The database refused, or is not there."""


class LockedError(DatabaseError):
    """What was asked for is locked, and was not given back in time."""


class Connection:
    """One connection, open from the start."""

    def __init__(
        self, dsn: str, application: str, timeout_seconds: float, lock_timeout_seconds: float = 0
    ) -> None:
        """Connect.

        Args:
            dsn: ``postgresql://role@host:port/database``.
            application: the name that the database shows for it.
            timeout_seconds: how long any answer may take.
            lock_timeout_seconds: how long a statement waits for a lock; 0 is for ever.

        Raises:
            DatabaseError: it was refused, or nobody answered.
        """
        where = urlsplit(dsn)
        names = {
            "user": where.username or "",
            "database": where.path[1:],
            "application_name": application,
            "lock_timeout": f"{round(1000 * lock_timeout_seconds)}ms",
        }
        words = b"".join(part.encode() + b"\0" for pair in names.items() for part in pair)
        try:
            self._socket = socket.create_connection((where.hostname, where.port), timeout_seconds)
        except OSError as error:
            raise DatabaseError(f"cannot connect: {error}") from None
        self._answers = self._socket.makefile("rb")
        try:
            self._exchange(b"", struct.pack("!i", PROTOCOL) + words + b"\0")
        except DatabaseError:
            self.close()
            raise

    def execute(self, statement: str) -> None:
        """Run a statement.

        Raises:
            LockedError: it waited too long for a lock.
            DatabaseError: it failed, or the connection broke.
        """
        self._exchange(b"Q", statement.encode() + b"\0")

    def wait_closed(self) -> None:
        """Wait until the database has ended the connection, while nothing is asked of it."""
        self._socket.settimeout(None)
        while self._answers.read(1):
            pass

    def close(self) -> None:
        """Hang up; the database notices."""
        self._answers.close()
        self._socket.close()

    def _exchange(self, kind: bytes, body: bytes) -> None:
        try:
            self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)
            while (answer := self._read())[0] != b"Z":  # ready for the next
                if answer[0] == b"E":
                    raise _refusal(answer[1])
                if answer[0] == b"R" and answer[1][:4] != bytes(4):
                    raise DatabaseError("it asks for a password")
        except OSError as error:
            raise DatabaseError(f"the connection broke: {error}") from None

    def _read(self) -> tuple[bytes, bytes]:
        head = self._answers.read(5)
        if len(head) < 5:
            raise DatabaseError("the connection was closed")
        kind, length = struct.unpack("!ci", head)
        return kind, self._answers.read(length - 4)


def _refusal(fields: bytes) -> DatabaseError:
    """Read an error's fields."""
    found = {field[:1]: field[1:].decode(errors="replace") for field in fields.split(b"\0")}
    kind = LockedError if found.get(b"C") == LOCK_NOT_AVAILABLE else DatabaseError
    return kind(found.get(b"M", "no message"))
