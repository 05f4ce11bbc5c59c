"""Looks whether everything is in place: what can be seen from here, and what a worker sees from there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client, WorkflowFailureError

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.checks import COMMAND_LINE, WORKER, Check, Checks, DoctorRequest, Row
from runbook_model.errors import CatalogError, SealedError
from runbook_model.names.ids import UNROUTED, doctor_id, task_queue
from runbook_model.text.sentences import count_of
from starter.client.connect import RPC_TIMEOUT
from starter.client.runs import SOON, was_started
from starter.doctor.server_checks import (
    ENCRYPTION,
    check_server,
    judge_encryption,
    judge_worker,
    no_worker,
    not_shared,
    starting,
    unread,
    who_asks,
)
from starter.doctor.version_checks import VERSIONS, judge_versions, read_builds
from workflows.decisions.endings import cause_of, fix_of
from workflows.doctor import Doctor

AT_MOST = timedelta(seconds=60)
"""Temporal ends a look after this time."""


def check_catalog(path: Path | None) -> tuple[Check, Catalog | None]:
    """Look at the catalog on this machine."""
    if path is None:
        detail = "none here (RUNBOOK_CATALOG is not set): the worker's decides"
        return Check(name="catalog", ok=None, detail=detail), None
    try:
        catalog = load_catalog(path)
    except CatalogError as error:
        fix = f"correct {path}; runbook catalog check {path} shows all" if path.exists() else error.fix
        return Check(name="catalog", ok=False, detail=error.message, fix=fix), None
    counts = (
        f"{count_of(len(catalog.environments), 'environment')}, {count_of(len(catalog.services), 'service')}"
    )
    return Check(name="catalog", ok=True, detail=f"{path} is valid: {counts}"), catalog


async def check_all(client: Client, requests: Sequence[DoctorRequest], *, fix: bool) -> list[Check]:
    """Look at Temporal and at every environment that is asked for, all at once.

    Raises:
        RPCError: Temporal is away.
    """
    server = await check_server(client, fix=fix)
    if any(item.name == "namespace" and item.ok is False for item in server):
        return [*server, *unknown_after("namespace", requests)]
    looks = [*(_check_environment(client, item) for item in requests), _check_unrouted(client)]
    groups = await asyncio.gather(*looks)
    return [*server, *(check for group in groups for check in group)]


def unknown_after(
    missing: str, requests: Iterable[DoctorRequest], table: Sequence[Row] = (*COMMAND_LINE, *WORKER)
) -> list[Check]:
    """Say that all rows of a table after one are unknown while that one is not in place."""
    names = [row.name for row in table]
    rows = table[names.index(missing) + 1 :]
    shared = [Check.unknown(None, None, row.name, missing) for row in rows if row.of == "everywhere"]
    return shared + [
        Check.unknown(
            request.environment, request.service if row.of == "service" else None, row.name, missing
        )
        for request in requests
        for row in rows
        if row.of != "everywhere"
    ]


def _unseen(request: DoctorRequest, worker: Check) -> list[Check]:
    """Say of everything that only a worker can see that nobody has looked."""
    return [
        Check(
            environment=request.environment,
            service=request.service if row.of == "service" else None,
            name=row.name,
            ok=False,
            detail="nobody has looked: no worker answers",
            fix=worker.fix,
        )
        for row in WORKER
    ]


async def _check_environment(client: Client, request: DoctorRequest) -> list[Check]:
    environment = request.environment
    asked, builds = await asyncio.gather(who_asks(client, environment), read_builds(client, environment))
    worker = judge_worker(environment, asked, builds.current)
    versions = judge_versions(environment, client.namespace, asked, builds)
    if worker.ok and versions.stand_still:
        return [worker, versions.check, *unknown_after(VERSIONS, [request])]
    if worker.ok:
        seen = await _ask(client, request, builds.current)
        if not isinstance(seen, Check):
            return [worker, versions.check, *seen.checks]
        if seen.name == ENCRYPTION:
            return [worker, versions.check, seen, *unknown_after(ENCRYPTION, [request])]
        worker = seen
    return [worker, *unknown_after("worker", [request], COMMAND_LINE), *_unseen(request, worker)]


async def _check_unrouted(client: Client) -> list[Check]:
    """Say whether alerts that belong nowhere would stand still: their queue is every worker's, and no environment's."""
    environment = UNROUTED[1]
    asked, builds = await asyncio.gather(who_asks(client, environment), read_builds(client, environment))
    versions = judge_versions(environment, client.namespace, asked, builds)
    if not versions.stand_still or not all(pollers for _, pollers in asked):
        return []
    detail = f"alerts that belong nowhere: {versions.check.detail}"
    return [versions.check.model_copy(update={"detail": detail})]


async def _ask(client: Client, request: DoctorRequest, build: str | None) -> Checks | Check:
    """Have a worker look; what it did not do is a check too. ``build`` is the one that new runs go to."""
    handle = await client.start_workflow(
        Doctor.run,
        request,
        id=doctor_id(request.environment, uuid4().hex[:8]),
        task_queue=task_queue(request.environment),
        execution_timeout=AT_MOST,
        static_summary=f"Is everything in place in {request.environment}?",
        rpc_timeout=RPC_TIMEOUT,
    )
    answer = asyncio.create_task(handle.result())
    try:
        done, _ = await asyncio.wait({answer}, timeout=SOON.total_seconds())
        if not done and not await was_started(client, handle.id):
            why = "one was there lately, and does not answer now"
            return no_worker(request.environment, why, starting(request.environment, build))
        if not done and (lacking := await unread(handle)):
            return not_shared(
                request.environment, f"the worker cannot read what is sent from here: {lacking}"
            )
        seen = await asyncio.wait_for(answer, (AT_MOST + RPC_TIMEOUT).total_seconds())
        encryption = await judge_encryption(client, request.environment, handle)
        return seen.model_copy(update={"checks": (encryption, *seen.checks)})
    except SealedError as error:
        return not_shared(request.environment, f"the worker's answer cannot be read here: {error}")
    except (WorkflowFailureError, TimeoutError) as error:
        cause = cause_of(error)
        why = cause.message if cause else f"it did not end within {AT_MOST.seconds} s"
        fix = (fix_of(cause) if cause else None) or (
            f"look at {handle.id} in the Temporal UI, and into the worker's log"
        )
        return no_worker(request.environment, f"it started to look, and failed: {why}", fix)
    finally:
        answer.cancel()
