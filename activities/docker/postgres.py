"""PostgreSQL in a container, asked by its own tools: ``pg_isready`` and ``psql``, run where it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.docker.reading import read_project
from runbook_model.catalog.service_policies import Database
from runbook_model.catalog.target import Target
from runbook_model.containers import ServerAnswer
from runbook_model.errors import InputError, OutsideError
from runbook_model.measured.readings import Observation, Quality, Reading
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import QUOTED

if TYPE_CHECKING:
    from activities.docker.engine import Engine

SAMPLES = 5
EVERY = timedelta(seconds=0.5)
"""What is transient, such as a pool that fills up for a moment, is not seen by one look."""

READY, REJECTS, SILENT = 0, 1, 2
"""How ``pg_isready`` ends."""

OUTPUT = 64 * 1024
"""Bytes of what a program writes that are read."""

NOT_FOUND = {126, 127}
"""How the engine says that a container has no such program."""

FULL = ("too many clients", "too many connections", "connection slots are reserved")

LIMITS = {
    "PGCONNECT_TIMEOUT": "5",
    "PGOPTIONS": "-c statement_timeout=5000 -c default_transaction_read_only=on",
    "PGAPPNAME": "incident-runbooks",
}

COUNT = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int
"""


class PostgresContainer:
    """Asks the database server of a compose project; each question is safe to repeat."""

    def __init__(self, engine: Engine, samples: int = SAMPLES) -> None:
        self._engine = engine
        self._samples = samples

    @activity.defn
    def read_server(self, target: Target) -> ServerAnswer:
        """Ask for some seconds whether it accepts connections and how many are used; that it does not is an answer too.

        Returns:
            how it stands at the end, with the most connections that were used meanwhile.
        """
        looks = [self._look(target)]
        for _ in range(self._samples - 1):
            time.sleep(EVERY.total_seconds())
            looks.append(self._look(target))
        return worst_of(looks)

    def _look(self, target: Target) -> ServerAnswer:
        database = database_of(target)
        project = read_project(self._engine, target, service=database.compose_service)
        running = [item for item in project.own if item.state == "running"]
        if not running:
            seen = "; ".join(item.summary for item in project.own)
            return ServerAnswer(accepts=False, why=seen, at=_now())
        try:
            return self._ask(running[0].id, database)
        except OutsideError as error:
            return ServerAnswer(accepts=None, why=str(error), at=_now())

    async def connections(self, look: Observation, now: datetime) -> Reading:
        """Measure how much of its connections the database has given away, for a sample of a target."""
        answer = await asyncio.to_thread(self._look, look.target)
        full = database_of(look.target).full
        bad = answer.full or answer.accepts is False or (answer.share or 0) >= full
        known = Quality.GOOD if answer.share is not None else Quality.ERROR
        return Reading(
            kind="connections",
            quality=Quality.BAD if bad else known,
            value=answer.share,
            limit=full,
            detail=answer.summary,
            source="database",
            at=now,
        )

    def _ask(self, container: str, database: Database) -> ServerAnswer:
        who = ["-U", database.user, "-d", database.name]
        code, said = self._run(container, ["pg_isready", "-t", "3", *who])
        if code in {REJECTS, SILENT}:
            return ServerAnswer(accepts=False, starting=code == REJECTS, why=said, at=_now())
        if code != READY:
            return ServerAnswer(accepts=None, why=_unable("pg_isready", code, said), at=_now())
        began = time.monotonic()
        code, said = self._run(container, ["psql", "-X", "-A", "-t", "-w", *who, "-c", COUNT])
        took = timedelta(seconds=round(time.monotonic() - began, 3))
        if code == 0 and "|" in said:  # the engine's client may lose what comes with the head of an answer
            used, _, limit = said.partition("|")
            return ServerAnswer(accepts=True, used=int(used), limit=max(1, int(limit)), took=took, at=_now())
        if any(words in said for words in FULL):
            return ServerAnswer(accepts=True, full=True, why=said, at=_now())
        return ServerAnswer(accepts=True, why=_unable("psql", code, said), at=_now())

    def _run(self, container: str, argv: list[str]) -> tuple[int, str]:
        with self._engine.client(f"run {argv[0]} in the database's container") as docker:
            program = docker.api.exec_create(container, argv, environment=LIMITS)["Id"]
            with closing(docker.api.exec_start(program, stream=True)) as output:
                text = _start_of(output)
            code = docker.api.exec_inspect(program)["ExitCode"]
        return -1 if code is None else code, excerpt(text, QUOTED)


def _start_of(output: Iterable[bytes]) -> str:
    """Return what a program wrote first; more than that is of no use, and is not read."""
    found = bytearray()
    for piece in output:
        found += piece
        if len(found) > OUTPUT:
            break
    return found[:OUTPUT].decode(errors="replace").strip()


def worst_of(looks: Sequence[ServerAnswer]) -> ServerAnswer:
    """Return how a server stands at the end of some looks, with the most connections that were used meanwhile."""
    last, used = looks[-1], [look.used for look in looks if look.used is not None]
    if full := [look for look in looks if look.full]:
        return full[-1].model_copy(update={"at": last.at})
    return last.model_copy(update={"used": max(used)}) if last.used is not None else last


def database_of(target: Target) -> Database:
    """Return the target's database, which has to run in a service of its project.

    Raises:
        InputError: the catalog does not say so.
    """
    if target.database is None or target.database.compose_service is None:
        raise InputError(
            f"the catalog names no database of {target.key} that runs by compose",
            fix='add database = { compose_service = "…" }',
        )
    return target.database


def _unable(program: str, code: int, said: str) -> str:
    if code in NOT_FOUND:
        return f"the container has no {program}"
    return f"{program} ended with {code}: {said}"


def _now() -> datetime:
    return datetime.now(UTC)
