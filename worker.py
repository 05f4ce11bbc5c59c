"""The composition root: settings -> clients -> activities -> workers.

One process serves the environments it is given to, each by two workers: one for workflows and short activities, one for
long waits, so that a thousand waits never hold up an abort.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.http.client import http_client
from activities.registry import ActivityRegistry, OfPackages
from activities.runtime.interceptors import Beat, EnvironmentGuard, RequireHeartbeatKey, TranslateErrors
from activities.runtime.settings import Settings, load_settings
from activities.telemetry.log_lines import log_to_stderr
from activities.telemetry.metrics import set_up as set_up_metrics
from activities.telemetry.telemetry import flush_traces, trace_outside_calls
from activities.temporal.brakes import BrakeActivities
from activities.temporal.census import Census
from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.errors import InputError
from runbook_model.names.ids import UNROUTED, task_queue, watch_queue
from runbook_model.names.procedures import FIX_PACKAGE
from runbook_model.text.sentences import did_you_mean
from starter.client.connect import connect
from starter.exits import CliError, end_process
from starter.procedures import BUILT_IN
from starter.processes.health import Health, served_health
from workflows.any_procedure import AnyProcedure
from workflows.brake import Brake, BrakeOfEveryBuild
from workflows.doctor import Doctor
from workflows.drill import Drill
from workflows.hold import Hold
from workflows.incident import Incident
from workflows.ledger import ReleaseLedger
from workflows.lock import Lock
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner
from workflows.procedures.packages import OwnProcedures, load_own

WORKFLOWS: list[type] = [
    *(procedure.workflow for procedure in BUILT_IN),
    Hold,
    Lock,
    Incident,
    Brake,
    ReleaseLedger,
    Doctor,
    Drill,
]
# After a worker dies, its open workflows continue elsewhere once this has run out; the SDK's own default costs 10 s.
STICKY = timedelta(seconds=2)
# The SDK would hold a heartbeat back for 0.8 of its timeout: of two seconds that leaves a busy machine 0.4 s to be late.
HELD_BACK = timedelta(seconds=1)


async def serve(settings: Settings, environments: Sequence[str]) -> None:
    """Run the workers of some environments until SIGINT or SIGTERM; waits are handed over at once.

    Raises:
        InputError: two packages bring a procedure of the same name.
    """
    own = load_own()
    build_id = own.build_id(settings.build_id)
    meter = set_up_metrics(settings.metrics)
    client = await connect()
    trace_outside_calls()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(http_client())
        # Alerts that belong to no target have a queue of their own, which every worker serves.
        served = [*dict.fromkeys([*environments, UNROUTED[1]])]
        # One for each slot: a change that waits for a thread loses the time that its fence reckons with.
        threads = stack.enter_context(ThreadPoolExecutor(settings.threads * len(served)))
        packages = OfPackages(own.known, own.changes, own.alerts)
        parts = ActivityRegistry(client, settings, http, meter, served_queues(served), packages)
        _add(own, parts)
        workers: list[Worker] = []
        for environment in served:
            version = deployment_version(environment, build_id)
            for worker in _workers(client, environment, settings, threads, parts, own, version):
                await stack.enter_async_context(worker)
                workers.append(worker)
        if settings.health:
            await stack.enter_async_context(
                served_health(Health(client, workers).application, settings.health)
            )
        if settings.metrics:
            census = asyncio.create_task(Census(client, BrakeActivities(client), meter, environments).keep())
            stack.callback(census.cancel)
        print(f"worker ready: {', '.join(environments)}", file=sys.stderr, flush=True)  # noqa: T201 - for people and supervisors
        await stop.wait()


def served_queues(environments: Sequence[str]) -> EnvironmentGuard:
    """Say which queue belongs to whom, so that what comes by another's is refused."""
    return EnvironmentGuard(
        {
            queue(environment): environment
            for environment in environments
            for queue in (task_queue, watch_queue)
        }
    )


def _add(own: OwnProcedures, parts: ActivityRegistry) -> None:
    """Add the activities of packages; one whose cannot be served is left out, and the others continue."""
    for procedure in [*own.loaded.values()]:
        try:
            parts.add(procedure.activities, procedure.changes)
        except Exception as error:  # noqa: BLE001 - a package must not keep the product's procedures from being served
            own.reject(procedure.name, f"its activities cannot be served: {error}")
    for name, source in own.known.own.items():
        _say(f"serves {name} by {source}")
    for name, why in own.known.broken.items():
        _say(f'the procedure "{name}" is not served: {why}; {FIX_PACKAGE}')


def _say(line: str) -> None:
    print(f"worker: {line}", file=sys.stderr, flush=True)  # noqa: T201 - for people and supervisors


def _workers(
    client: Client,
    environment: str,
    settings: Settings,
    threads: ThreadPoolExecutor,
    parts: ActivityRegistry,
    own: OwnProcedures,
    version: WorkerDeploymentConfig | None,
) -> tuple[Worker, Worker]:
    grace = timedelta(seconds=settings.grace_seconds)
    short = Worker(
        client,
        task_queue=task_queue(environment),
        workflows=[*workflows_of(version), *(item.workflow for item in own.loaded.values()), AnyProcedure],
        workflow_runner=sandbox_runner(),
        workflow_failure_exception_types=[
            ValidationError
        ],  # a request that is none ends its run, and frees the lock
        activities=parts.short,
        activity_executor=threads,
        max_concurrent_activities=settings.threads,
        interceptors=[TrimArguments(), TranslateErrors(), parts.guard, RequireHeartbeatKey(), Beat()],
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=grace,
        max_heartbeat_throttle_interval=HELD_BACK,
        deployment_config=version,
    )
    long = Worker(
        client,
        task_queue=watch_queue(environment),
        activities=parts.long,
        max_concurrent_activities=settings.waits,
        interceptors=[TranslateErrors(), parts.guard, RequireHeartbeatKey()],
        graceful_shutdown_timeout=grace,
        max_heartbeat_throttle_interval=HELD_BACK,
        deployment_config=version,
    )
    return short, long


def workflows_of(version: WorkerDeploymentConfig | None) -> list[type]:
    """List the workflows of a worker: a brake lives for months, and follows every build where builds are distinguished."""
    return [BrakeOfEveryBuild if workflow is Brake and version else workflow for workflow in WORKFLOWS]


def deployment_version(environment: str, build_id: str | None) -> WorkerDeploymentConfig | None:
    """Pin runs to the build that they started on: what is deployed next cannot change a remediation half-way."""
    if build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=task_queue(environment), build_id=build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def environments_of(catalog: Catalog, asked: Sequence[str]) -> list[str]:
    """Choose which environments to serve.

    Raises:
        InputError: one that was asked for is not in the catalog.
    """
    for name in asked:
        if name not in catalog.environments:
            known = ", ".join(sorted(catalog.environments))
            meant = did_you_mean(name, catalog.environments)
            raise InputError(f'no environment "{name}" in the catalog{meant}; there are: {known}')
    return list(asked) or sorted(catalog.environments)


def main() -> int:
    """Run a worker; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="worker", description="Serve procedures of the catalog's environments."
    )
    parser.add_argument(
        "--environment", action="append", default=[], help="serve only this one; may be repeated"
    )
    asked = parser.parse_args().environment
    # People are notified in this log where the catalog names no other channel.
    log_to_stderr("runbook")
    try:
        settings = load_settings()
        environments = environments_of(load_catalog(settings.catalog), asked)
        asyncio.run(serve(settings, environments))
    except InputError as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201 - the one line that says what is wrong
        return 2
    except CliError as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201 - likewise
        return error.code
    flush_traces()
    return 0


if __name__ == "__main__":
    end_process(main())
