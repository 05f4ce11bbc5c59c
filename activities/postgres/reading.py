"""What PostgreSQL is asked about its sessions, and its answers as facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runbook_model.measured.database import (
    IDLE_IN_TRANSACTION,
    DatabaseRead,
    HeldConnections,
    LockWait,
    Session,
    SessionName,
    Statement,
    TableLock,
    without_literals,
)

if TYPE_CHECKING:
    from activities.postgres.connections import Rows

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
       -- Most sessions are idle, and of these nobody shows the statement.
       CASE WHEN state = 'idle' THEN '' ELSE left(coalesce(query, ''), 2000) END AS query
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 5000
"""
LOCK_WAITS = """
SELECT pid, pg_blocking_pids(pid) AS blockers
FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() LIMIT %s
"""
# Modes that keep others from writing at least. A table that was made in the same transaction nobody else can see.
TABLE_LOCKS = """
SELECT pid, nspname || '.' || relname AS name, mode
FROM pg_locks JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
JOIN pg_stat_activity USING (pid)
WHERE locktype = 'relation' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
  AND relkind IN ('r', 'p', 'm') AND relpersistence <> 't' AND state = ANY(%s)
ORDER BY state_change, name LIMIT %s
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


@dataclass(frozen=True)
class Look:
    """The database in one moment, in PostgreSQL's own rows."""

    room: dict[str, Any]
    sessions: list[dict[str, Any]]
    waits: list[dict[str, Any]]


def look(connection: Rows) -> Look:
    """Look at the sessions once; in one transaction everything is of the same moment."""
    return Look(
        room=read_room(connection),
        sessions=connection.execute(SESSIONS).fetchall(),
        waits=connection.execute(LOCK_WAITS, (MOST_WAITS,)).fetchall(),
    )


def read_table_locks(connection: Rows) -> tuple[TableLock, ...]:
    """Read which tables are held locked by sessions that do nothing."""
    rows = connection.execute(TABLE_LOCKS, (list(IDLE_IN_TRANSACTION), MOST_WAITS)).fetchall()
    return tuple(TableLock(pid=row["pid"], table=row["name"], mode=row["mode"]) for row in rows)


def merged(
    looks: Sequence[Look], table_locks: tuple[TableLock, ...], slowest: tuple[Statement, ...], at: datetime
) -> DatabaseRead:
    """Merge what was seen, oldest first: counts are the median's, sessions the last's, and waits are those of all."""
    by_use = sorted(looks, key=lambda item: item.room["used"])
    room = by_use[(len(by_use) - 1) // 2].room
    sessions = _sessions(looks[-1])
    here = [session for session in sessions if session.database == room["name"]]
    waits, blockers = _lock_waits(looks)
    return DatabaseRead(
        standing="serves",
        version=room["version"],
        database=room["name"],
        standby=room["standby"],
        limit=room["max_connections"],
        reserved=room["reserved"],
        samples=len(looks),
        used=room["used"],
        used_at_most=by_use[-1].room["used"],
        hidden=max(item.room["hidden"] for item in looks),
        held=_held(_sessions(by_use[(len(by_use) - 1) // 2])),
        idle=tuple(item for item in here if item.state in IDLE_IN_TRANSACTION)[:MOST_SESSIONS],
        longest=tuple(item for item in here if item.state == "active")[:MOST_SHOWN],
        lock_waits=waits,
        samples_with_waits=sum(bool(item.waits) for item in looks),
        blockers=blockers,
        table_locks=table_locks,
        slowest=slowest,
        at=at,
    )


def _sessions(seen: Look) -> list[Session]:
    return sorted(map(_session, seen.sessions), key=lambda item: item.lasts, reverse=True)


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


def _held(sessions: Iterable[Session]) -> tuple[HeldConnections, ...]:
    groups: defaultdict[tuple[str, str, str], list[Session]] = defaultdict(list)
    for session in sessions:
        groups[session.owner, session.database, session.state].append(session)
    held = (
        HeldConnections(
            owner=owner, database=name, state=state, count=len(all_), longest=max(item.lasts for item in all_)
        )
        for (owner, name, state), all_ in groups.items()
    )
    return tuple(sorted(held, key=lambda item: item.count, reverse=True))[:MOST_HELD]


def _lock_waits(looks: Sequence[Look]) -> tuple[tuple[LockWait, ...], tuple[Session, ...]]:
    """Return who waits, each session once, and whom they wait for; the longest first."""
    waits: dict[SessionName, LockWait] = {}
    blockers: dict[SessionName, Session] = {}
    for seen in looks:
        by_pid = {row["pid"]: row for row in seen.sessions}
        for row in seen.waits:
            if row["pid"] not in by_pid:
                continue
            waiting = _session(by_pid[row["pid"]])
            before = waits.get(waiting.name)
            if before and before.waits.lasts > waiting.lasts:
                waiting = before.waits
            waits[waiting.name] = LockWait(
                waits=waiting,
                blockers=tuple(sorted({*row["blockers"], *(before.blockers if before else ())})),
                seen=1 + (before.seen if before else 0),
            )
            found = (_session(by_pid[pid]) for pid in row["blockers"] if pid in by_pid)
            blockers |= {item.name: item for item in found}
    longest_first = sorted(waits.values(), key=lambda wait: wait.waits.lasts, reverse=True)
    holders = sorted(blockers.values(), key=lambda blocker: blocker.lasts, reverse=True)
    return tuple(longest_first[:MOST_WAITS]), tuple(holders[:MOST_WAITS])


def read_slowest(connection: Rows) -> tuple[Statement, ...]:
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
