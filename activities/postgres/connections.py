"""Connections to PostgreSQL, and its errors as ours."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from activities.runtime.fence import CONNECT_TIMEOUT, READ_TIMEOUT, application_name
from runbook_model.errors import (
    AccessDeniedError,
    InputError,
    NoConnectionLeftError,
    NotFoundError,
    NotServingError,
    OutsideError,
    PoolerFullError,
    RejectedError,
    UnreachableError,
)
from runbook_model.text.redaction import HIDDEN
from runbook_model.text.sentences import quote

Rows = psycopg.Connection[dict[str, Any]]

STATEMENT_TIMEOUT = timedelta(seconds=5)
"""The database itself gives up on a statement after this long."""

LOCK_TIMEOUT = timedelta(seconds=1)

# While it connects, libpq tells errors by words only; SQLSTATE comes with statements.
WORDS: tuple[tuple[tuple[str, ...], type[OutsideError]], ...] = (
    # PgBouncer's; of Supavisor and of RDS Proxy.
    (("no more connections allowed", "max_client_conn", "max clients reached"), PoolerFullError),
    (("query_wait_timeout", "timed-out waiting to acquire database connection"), PoolerFullError),
    (("too many clients", "too many connections", "connection slots are reserved"), NoConnectionLeftError),
    (("is starting up", "is shutting down", "in recovery mode", "not yet accepting"), NotServingError),
    (("connection refused", "no such file or directory"), NotServingError),
    (("authentication failed", "no pg_hba.conf entry", "permission denied"), AccessDeniedError),
    (("role", "does not exist"), AccessDeniedError),
    (("no password supplied",), AccessDeniedError),
    (("database", "does not exist"), NotFoundError),
)

ALL_OF_THEM = ("role", "database")

CLASSES: dict[str, type[OutsideError]] = {
    "08": UnreachableError,
    "53": NoConnectionLeftError,
    "57": UnreachableError,  # cancelled by a timeout, or the server goes down
    "28": AccessDeniedError,
    "42501": AccessDeniedError,
}


class Databases:
    """Connects to databases, by the variable that holds the DSN."""

    @contextmanager
    def connect(
        self, dsn_env: str, *, longer: timedelta = timedelta(0)
    ) -> Iterator[Callable[[], AbstractContextManager[Rows]]]:
        """Connect to the database whose DSN a variable holds, and hand out what opens transactions in it.

        Every transaction is read-only, and its settings end with it: through a pooler, settings of a session would stay
        behind on a connection that others use next.

        Args:
            dsn_env: the variable's name.
            longer: how much longer than one call it may take; then it hangs up.

        Raises:
            InputError, OutsideError: what psycopg raises, without the DSN.
        """
        with database_errors(dsn_env, connecting=True) as dsn:
            opened = psycopg.connect(
                dsn,
                autocommit=True,
                connect_timeout=round(CONNECT_TIMEOUT.total_seconds()),
                application_name=application_name(),
                prepare_threshold=None,  # a pooler may not keep what was prepared
                row_factory=dict_row,
            )
        with database_errors(dsn_env), opened as connection, hung_up_after(READ_TIMEOUT + longer, connection):
            connection.read_only = True
            yield partial(_transaction, connection)


@contextmanager
def _transaction(connection: Rows) -> Iterator[Rows]:
    timeouts = [f"{limit.total_seconds() * 1000:.0f}" for limit in (STATEMENT_TIMEOUT, LOCK_TIMEOUT)]
    with connection.transaction():
        connection.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)", timeouts
        )
        yield connection


@contextmanager
def database_errors(dsn_env: str, *, connecting: bool = False) -> Iterator[str]:
    """Hand out the DSN that a variable holds, and raise the product's errors for psycopg's inside.

    Args:
        dsn_env: the variable's name.
        connecting: whether no more is done inside than to connect: then certainly nothing has taken effect.

    Raises:
        InputError: the variable is not set, or holds no DSN.
        OutsideError: the database refused or did not answer.
    """
    dsn = os.environ.get(dsn_env, "")
    if not dsn:
        raise InputError(
            f"the worker's environment has no {dsn_env}",
            fix="set it to the DSN of the database, or correct dsn_env in the catalog",
        )
    try:
        parameters = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise InputError(
            f"{dsn_env} holds no DSN that PostgreSQL's client can read", fix="correct it"
        ) from None
    secrets = [dsn, *(str(value) for key, value in parameters.items() if value and "password" in key)]
    try:
        yield dsn
    except psycopg.Error as error:
        ours = _kind(error)(f"the database of {dsn_env}: {_words(str(error), secrets)}")
        ours.may_have_landed = ours.may_have_landed and not connecting
        raise ours from None


def _kind(error: psycopg.Error) -> type[OutsideError]:
    state = error.sqlstate
    if state == "57P03":
        return NotServingError
    if state:
        return CLASSES.get(state) or CLASSES.get(state[:2]) or RejectedError
    words = str(error).lower()
    for found, kind in WORDS:
        if (all if found[0] in ALL_OF_THEM else any)(word in words for word in found):
            return kind
    return UnreachableError if isinstance(error, psycopg.OperationalError) else RejectedError


def _words(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return quote(text.strip().replace("\n", "; "))


@contextmanager
def hung_up_after(limit: timedelta, connection: psycopg.Connection[dict[str, object]]) -> Iterator[None]:
    """Hang up when the limit is over: a server that was stopped dead heeds no timeout of its own."""
    line = socket.socket(fileno=os.dup(connection.fileno()))
    timer = threading.Timer(limit.total_seconds(), _hang_up, (line,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        line.close()


def _hang_up(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already
