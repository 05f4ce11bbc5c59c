"""What PostgreSQL is asked about its sessions, and its answers as facts."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runbook_model.sessions import (
    IDLE_IN_TRANSACTION,
    DatabaseRead,
    Held,
    LockWait,
    Session,
    SessionName,
    Statement,
    without_literals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Connection

    Rows = Connection[dict[str, Any]]

MOST_SESSIONS = 200
"""Sessions that are kept one by one; the rest are in the counts."""
MOST_HELD = 40
MOST_SHOWN = 5
MOST_WAITS = 20

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


# What we ask ourselves is no part of the picture.
OTHERS = """
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND userid <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""


def read_room(connection: Rows) -> dict[str, Any]:
    """Read how many connections there are and may be."""
    return connection.execute(ROOM).fetchall()[0]


def read_state(connection: Rows) -> DatabaseRead:
    """Read who holds the connections, who waits for whom, and what is slow."""
    room = read_room(connection)
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
        at=datetime.now(UTC),
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
    asked = f"SELECT query, calls, mean_exec_time AS mean FROM {view[0]['name']} {OTHERS} ORDER BY 3 DESC LIMIT %s"  # noqa: S608 - quoted by PostgreSQL
    rows = connection.execute(asked.encode(), (MOST_SHOWN,)).fetchall()
    return tuple(
        Statement(
            query=without_literals(row["query"]),
            calls=row["calls"],
            mean=timedelta(milliseconds=round(row["mean"], 1)),
        )
        for row in rows
    )
