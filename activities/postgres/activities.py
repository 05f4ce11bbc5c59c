"""PostgreSQL: who holds the connections of a service's database, and ending sessions that were forgotten."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.postgres.reading import look, merged, read_room, read_slowest, read_table_locks
from activities.runtime.fence import fenced, sending
from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.catalog.service_policies import Database
from runbook_model.catalog.target import Target
from runbook_model.errors import (
    AccessDeniedError,
    InputError,
    NoConnectionLeftError,
    NotFoundError,
    NotServingError,
    OutsideError,
    PoolerFullError,
    UnreachableError,
)
from runbook_model.measured.database import (
    IDLE_IN_TRANSACTION,
    Connected,
    DatabaseRead,
    SessionName,
    Standing,
    Terminated,
)
from runbook_model.measured.readings import Observation, Quality, Reading
from runbook_model.plans import PlannedCall

if TYPE_CHECKING:
    from activities.postgres.connections import Databases, Rows

    Transaction = Callable[[], AbstractContextManager[Rows]]

SAMPLES = 12
EVERY = timedelta(seconds=0.25)
"""Sessions that wait with a time limit come and go: what one moment shows is chance."""
GONE_WITHIN = timedelta(seconds=2)
"""How long an ended session may take to be gone."""
STANDING: tuple[tuple[type[OutsideError], Standing], ...] = (
    (PoolerFullError, "pooler-full"),
    (NoConnectionLeftError, "full"),
    (NotServingError, "down"),
    (UnreachableError, "silent"),
    (AccessDeniedError, "denied"),
    (NotFoundError, "denied"),
)

# The start is compared with the process id, as process ids are used again; all in the statement that ends it.
TERMINATE = """
SELECT pid, pg_terminate_backend(pid) AS ended FROM pg_stat_activity
WHERE pid = %s AND backend_start = %s AND datname = current_database() AND pid <> pg_backend_pid()
  AND state = ANY(%s) AND clock_timestamp() - state_change >= %s
"""
STILL_THERE = "SELECT 1 AS there FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"


class TerminateSessions(ChangeOrder):
    """End exactly these sessions, where they are still forgotten in a transaction."""

    sessions: tuple[SessionName, ...]

    @property
    def call(self) -> PlannedCall:
        """The end of all of them."""
        return calls.terminate(self.sessions)


class DatabaseActivities:
    """Reads of a database, each in transactions that can change nothing, and the one change."""

    def __init__(self, databases: Databases, samples: int = SAMPLES) -> None:
        self._databases = databases
        self._samples = samples

    @activity.defn
    def read_database(self, target: Target) -> DatabaseRead:
        """Sample who holds the connections, who waits for whom, and what is slow; that it does not serve is an answer too."""
        try:
            with self._connect(target, longer=self._samples * EVERY) as transaction:
                return self._sampled(transaction)
        except OutsideError as error:
            return DatabaseRead(standing=_standing(error), why=str(error), at=_now())

    @activity.defn
    def test_connection(self, target: Target) -> Connected:
        """Connect again and count connections for some seconds, the most of which are what counts; a refusal is an answer too."""
        return self._tested(target, self._samples)

    def _tested(self, target: Target, looks: int) -> Connected:
        began = time.monotonic()
        try:
            with self._connect(target, longer=looks * EVERY) as transaction:
                with transaction() as connection:
                    room = read_room(connection)
                took = time.monotonic() - began
                for _ in range(looks - 1):
                    time.sleep(EVERY.total_seconds())
                    with transaction() as connection:
                        room = max(room, read_room(connection), key=lambda item: item["used"])
        except OutsideError as error:
            _standing(error)
            return Connected(ok=False, why=str(error), at=_now())
        return Connected(
            ok=True,
            full=_database(target).full,
            used=room["used"],
            open_to_services=max(1, room["max_connections"] - room["reserved"]),
            took=timedelta(seconds=round(took, 3)),
            at=_now(),
        )

    async def connections(self, look: Observation, now: datetime) -> Reading:
        """Measure how much of its connections the database has given away, for a sample of a target."""
        connected = await asyncio.to_thread(self._tested, look.target, 1)
        return Reading(
            kind="connections",
            quality=Quality.GOOD if connected.serves else Quality.BAD,
            value=connected.share if connected.ok else None,
            limit=connected.full if connected.ok else None,
            detail=connected.summary,
            source="database",
            at=now,
        )

    @activity.defn
    def terminate_sessions(self, change: TerminateSessions) -> Terminated:
        """End sessions that are still the same and still idle in a transaction; again, it finds the rest gone."""
        found: defaultdict[str, list[SessionName]] = defaultdict(list)
        forgotten = (list(IDLE_IN_TRANSACTION), _database(change.target).leaked_after)
        with fenced(), sending():
            try:
                with self._connect(change.target) as transaction:
                    for name in change.sessions:
                        known = (name.pid, name.backend_start)
                        with transaction() as connection:
                            ended = connection.execute(TERMINATE, (*known, *forgotten)).fetchall()
                            there = ended or connection.execute(STILL_THERE, known).fetchall()
                        found["ended" if ended else "spared" if there else "gone"].append(name)
                    stayed = _await_gone(transaction, found["ended"])
            except OutsideError as error:
                error.may_have_landed |= bool(found["ended"])
                raise
        return Terminated(
            ended=tuple(item for item in found["ended"] if item not in stayed),
            gone=tuple(found["gone"]),
            spared=tuple(found["spared"]),
            stayed=stayed,
        )

    def _sampled(self, transaction: Transaction) -> DatabaseRead:
        """Look several times, each in a transaction of its own: within one, PostgreSQL shows sessions as they first were."""
        seen = []
        for _ in range(self._samples - 1):
            with transaction() as connection:
                seen.append(look(connection))
            time.sleep(EVERY.total_seconds())
        with transaction() as connection:
            seen.append(look(connection))
            table_locks, slowest = read_table_locks(connection), read_slowest(connection)
        return merged(seen, table_locks, slowest, _now())

    def _connect(
        self, target: Target, *, longer: timedelta = timedelta(0)
    ) -> AbstractContextManager[Transaction]:
        return self._databases.connect(_dsn_env(target), longer=longer)


def _database(target: Target) -> Database:
    if target.database is None:
        raise InputError(
            f"{target.key} has no database in the catalog", fix='add database = { dsn_env = "…" }'
        )
    return target.database


def _dsn_env(target: Target) -> str:
    name = _database(target).dsn_env
    if name is None:
        raise InputError(f"{target.key} has no DSN in the catalog", fix='add dsn_env = "…" to its database')
    return name


def _standing(error: OutsideError) -> Standing:
    """Say how the database stands by how it refused us; other errors are not its answers."""
    for kind, standing in STANDING:
        if isinstance(error, kind):
            return standing
    raise error


def _await_gone(transaction: Transaction, names: Sequence[SessionName]) -> tuple[SessionName, ...]:
    """Wait a moment for sessions to be gone; returns those that are not."""
    give_up_at = time.monotonic() + GONE_WITHIN.total_seconds()
    left = list(names)
    while left:
        with transaction() as connection:
            left = [
                item
                for item in left
                if connection.execute(STILL_THERE, (item.pid, item.backend_start)).fetchall()
            ]
        if time.monotonic() > give_up_at:
            break
        time.sleep(0.02 if left else 0)
    return tuple(left)


def _now() -> datetime:
    return datetime.now(UTC)
