"""PostgreSQL: who holds the connections of a service's database, and ending sessions that were forgotten."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.catalog import Database, Target
from activities.errors import (
    AccessDeniedError,
    InputError,
    NoConnectionLeftError,
    NotFoundError,
    NotServingError,
    OutsideError,
    UnreachableError,
)
from activities.fence import fenced, sending
from activities.models import Fact
from activities.sessions import (
    IDLE_IN_TRANSACTION,
    Connected,
    DatabaseRead,
    Held,
    LockWait,
    Session,
    SessionName,
    Standing,
    Statement,
    Terminated,
    without_literals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from psycopg import Connection

    from activities.clients import Clients

    Rows = Connection[dict[str, Any]]

MOST_SESSIONS = 200
"""Sessions that are kept one by one; the rest are in the counts."""
MOST_HELD = 40
MOST_SHOWN = 5
MOST_WAITS = 20
GONE_WITHIN = timedelta(seconds=2)
"""How long an ended session may take to be gone."""
STANDING: tuple[tuple[type[OutsideError], Standing], ...] = (
    (NoConnectionLeftError, "full"),
    (NotServingError, "down"),
    (UnreachableError, "silent"),
    (AccessDeniedError, "denied"),
    (NotFoundError, "denied"),
)

ROOM = """
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
       + coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int
       + coalesce(nullif(current_setting('rds.rds_superuser_reserved_connections', true), ''), '0')::int AS reserved,
       current_setting('server_version') AS version, current_database() AS name, pg_is_in_recovery() AS standby,
       visible + hidden AS used, hidden
FROM (SELECT count(*) FILTER (WHERE backend_type = 'client backend') AS visible,
             -- Of whom we may not look into, PostgreSQL tells the role and little else.
             count(*) FILTER (WHERE backend_type IS NULL AND usesysid IS NOT NULL) AS hidden
      FROM pg_stat_activity WHERE pid <> pg_backend_pid()) AS counted
"""
SESSIONS = """
SELECT pid, backend_start, coalesce(datname, '') AS datname, coalesce(usename, '') AS usename,
       coalesce(application_name, '') AS application_name, coalesce(state, '') AS state,
       coalesce(extract(epoch FROM clock_timestamp() - state_change), 0)::float8 AS lasts,
       left(coalesce(query, ''), 2000) AS query
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 5000
"""
LOCK_WAITS = """
SELECT pid, pg_blocking_pids(pid) AS blockers
FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() LIMIT %s
"""
# Where the extension is there, its library is loaded, and its view is one that we know and may read.
STATEMENTS = """
SELECT quote_ident(nspname) || '.' || relname AS name FROM pg_extension
JOIN pg_namespace ON pg_namespace.oid = extnamespace JOIN pg_class ON relnamespace = extnamespace
WHERE extname = 'pg_stat_statements' AND relname = extname AND has_table_privilege(pg_class.oid, 'SELECT')
  AND EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max')
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'mean_exec_time')
"""
# The start is compared with the process id, as process ids are used again; all in the statement that ends it.
TERMINATE = """
SELECT pid, pg_terminate_backend(pid) AS told FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s AND datname = current_database() AND pid <> pg_backend_pid()
  AND state = ANY(%s) AND clock_timestamp() - state_change >= %s
"""
STILL_THERE = "SELECT 1 AS there FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"


class TerminateSessions(Fact):
    """End exactly these sessions, where they are still forgotten in a transaction."""

    target: Target
    sessions: tuple[SessionName, ...]


class DatabaseActivities:
    """Reads of a database, each in transactions that can change nothing, and the one change."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @activity.defn
    def read_database(self, target: Target) -> DatabaseRead:
        """Read who holds the connections, who waits for whom, and what is slow; that it does not serve is an answer too."""
        try:
            with self._connect(target) as connection:
                return _read(connection)
        except OutsideError as error:
            return DatabaseRead(standing=_standing(error), why=str(error), at=_now())

    @activity.defn
    def test_connection(self, target: Target) -> Connected:
        """Connect anew and ask something; that it cannot be done is an answer too."""
        began = time.monotonic()
        try:
            with self._connect(target) as connection:
                room = connection.execute(ROOM).fetchall()[0]
        except OutsideError as error:
            _standing(error)
            return Connected(ok=False, why=str(error), at=_now())
        return Connected(
            ok=True,
            used=room["used"],
            open_to_services=max(1, room["max_connections"] - room["reserved"]),
            took=timedelta(seconds=round(time.monotonic() - began, 3)),
            at=_now(),
        )

    @activity.defn
    def terminate_sessions(self, change: TerminateSessions) -> Terminated:
        """End sessions that are still the same and still idle in a transaction; again, it finds the rest gone."""
        found: defaultdict[str, list[SessionName]] = defaultdict(list)
        forgotten = (list(IDLE_IN_TRANSACTION), _database(change.target).leaked_after)
        with fenced(), sending():
            try:
                with self._connect(change.target, read_only=False) as connection:
                    for name in change.sessions:
                        known = (name.pid, name.backend_start)
                        ended = connection.execute(TERMINATE, (*known, *forgotten)).fetchall()
                        there = ended or connection.execute(STILL_THERE, known).fetchall()
                        found["told" if ended else "spared" if there else "gone"].append(name)
                    stayed = _await_gone(connection, found["told"])
            except OutsideError as error:
                error.may_have_landed |= bool(found["told"])
                raise
        return Terminated(
            ended=tuple(one for one in found["told"] if one not in stayed),
            gone=tuple(found["gone"]),
            spared=tuple(found["spared"]),
            stayed=stayed,
        )

    def _connect(self, target: Target, *, read_only: bool = True) -> AbstractContextManager[Rows]:
        return self._clients.database(_database(target).dsn_env, read_only=read_only)


def _database(target: Target) -> Database:
    if target.database is None:
        raise InputError(f'{target.key} has no database in the catalog: add database = {{ dsn_env = "…" }}')
    return target.database


def _standing(error: OutsideError) -> Standing:
    """Tell how the database stands by how it refused us; other errors are not its answers."""
    for kind, standing in STANDING:
        if isinstance(error, kind):
            return standing
    raise error


def _read(connection: Rows) -> DatabaseRead:
    room = connection.execute(ROOM).fetchall()[0]
    rows = connection.execute(SESSIONS).fetchall()
    sessions = sorted(map(_session, rows), key=lambda one: one.lasts, reverse=True)
    here = [one for one in sessions if one.database == room["name"]]
    waits = _lock_waits(connection, here)
    awaited = {pid for wait in waits for pid in wait.blockers}
    return DatabaseRead(
        standing="serves",
        version=room["version"],
        database=room["name"],
        standby=room["standby"],
        limit=room["max_connections"],
        reserved=room["reserved"],
        used=room["used"],
        hidden=room["hidden"],
        held=_held(sessions),
        idle=tuple(one for one in here if one.state in IDLE_IN_TRANSACTION)[:MOST_SESSIONS],
        longest=tuple(one for one in here if one.state == "active")[:MOST_SHOWN],
        lock_waits=waits,
        blockers=tuple(one for one in sessions if one.name.pid in awaited)[:MOST_WAITS],
        slowest=_slowest(connection),
        at=_now(),
    )


def _session(row: dict[str, Any]) -> Session:
    return Session(
        name=SessionName(pid=row["pid"], backend_start=row["backend_start"]),
        database=row["datname"],
        role=row["usename"],
        application=row["application_name"],
        state=row["state"],
        lasts=timedelta(seconds=max(0.0, round(row["lasts"], 1))),
        query=without_literals(row["query"]),
    )


def _held(sessions: Iterable[Session]) -> tuple[Held, ...]:
    groups: defaultdict[tuple[str, str, str], list[Session]] = defaultdict(list)
    for one in sessions:
        groups[one.owner, one.database, one.state].append(one)
    held = (
        Held(owner=owner, database=name, state=state, count=len(all_), longest=max(one.lasts for one in all_))
        for (owner, name, state), all_ in groups.items()
    )
    return tuple(sorted(held, key=lambda one: one.count, reverse=True))[:MOST_HELD]


def _lock_waits(connection: Rows, sessions: Sequence[Session]) -> tuple[LockWait, ...]:
    by_pid = {one.name.pid: one for one in sessions}
    rows = connection.execute(LOCK_WAITS, (MOST_WAITS,)).fetchall()
    waits = (
        LockWait(waits=by_pid[row["pid"]], blockers=tuple(row["blockers"]))
        for row in rows
        if row["pid"] in by_pid
    )
    return tuple(sorted(waits, key=lambda wait: wait.waits.lasts, reverse=True))


def _slowest(connection: Rows) -> tuple[Statement, ...]:
    """Read the slowest statements, where the database keeps count of them and lets us see it."""
    view = connection.execute(STATEMENTS).fetchall()
    if not view:
        return ()
    asked = f"SELECT query, calls, mean_exec_time AS mean FROM {view[0]['name']} ORDER BY 3 DESC LIMIT %s"  # noqa: S608 - quoted by PostgreSQL
    rows = connection.execute(asked.encode(), (MOST_SHOWN,)).fetchall()
    return tuple(
        Statement(
            query=without_literals(row["query"]),
            calls=row["calls"],
            mean=timedelta(milliseconds=round(row["mean"], 1)),
        )
        for row in rows
    )


def _await_gone(connection: Rows, names: Sequence[SessionName]) -> tuple[SessionName, ...]:
    """Wait a moment for sessions to be gone; returns those that are not."""
    give_up_at = time.monotonic() + GONE_WITHIN.total_seconds()
    left = list(names)
    while left:
        left = [
            one for one in left if connection.execute(STILL_THERE, (one.pid, one.backend_start)).fetchall()
        ]
        if time.monotonic() > give_up_at:
            break
        time.sleep(0.02 if left else 0)
    return tuple(left)


def _now() -> datetime:
    return datetime.now(UTC)
