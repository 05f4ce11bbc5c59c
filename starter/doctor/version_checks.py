"""Which builds of the worker ask for work, which of them takes new runs, and whether there is somebody for every run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import Final

from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.runs import OPEN
from runbook_model.checks import Check
from runbook_model.names import ids
from starter.client.connect import RPC_TIMEOUT
from starter.doctor.server_checks import CANNOT_ANSWER, Asked, starting

VERSIONS: Final = "worker-versions"
VERSIONED = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
PINNED = (
    "TemporalWorkerDeploymentVersion = \"{}:{}\" AND TemporalWorkflowVersioningBehavior = 'Pinned' "
    "AND WorkflowType != 'Lock' "  # it ends with the run that holds it
    f"AND {OPEN}"
)
DRAINING = WorkerDeploymentVersionStatus.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING


@dataclass(frozen=True)
class Builds:
    """What Temporal knows of the builds of an environment's workers; nothing where builds were never used."""

    current: str | None = None
    """Where new runs go; None: to workers without a build."""
    ramping: str | None = None
    """Where a share of the new runs goes instead."""
    draining: Mapping[str, int | None] = field(default_factory=dict)
    """Former ones, and how many open runs are pinned to each, where that can be counted: Temporal notes late that it is none."""
    newest_first: tuple[str, ...] = ()
    unknown: str | None = None
    """Why Temporal does not say."""


@dataclass(frozen=True)
class Versions:
    """What is to be said of them."""

    check: Check
    stand_still: bool = False
    """Whether new runs would: then there is no use in asking a worker to look."""


async def read_builds(client: Client, environment: str) -> Builds:
    """Ask Temporal for the builds of an environment's workers.

    Raises:
        RPCError: Temporal is away.
    """
    name = ids.task_queue(environment)
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
    try:
        found = await client.workflow_service.describe_worker_deployment(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Builds()
        if error.status in CANNOT_ANSWER:
            return Builds(unknown=error.message)
        raise
    builds = _read(found.worker_deployment_info)
    counts = await asyncio.gather(*(_count_open(client, name, item) for item in builds.draining))
    return replace(builds, draining=dict(zip(builds.draining, counts, strict=True)))


def judge_versions(environment: str, namespace: str, asked: Sequence[Asked], builds: Builds) -> Versions:
    """Say whether there is a worker for every run: for new ones, and for those that end on the build they started on.

    Args:
        environment: whose workers they are.
        namespace: where that is.
        asked: who asked each of its queues for work lately.
        builds: what Temporal knows of them.
    """
    queues = [(queue, [_build_of(poller) for poller in pollers]) for queue, pollers in asked]
    living = [build for build in _all(queues, builds) if all(build in found for _, found in queues)]
    without_build = any(None in found for _, found in queues)
    say = _Texts(environment, namespace, living)
    if builds.unknown:
        return say.null(f"this Temporal does not say: {builds.unknown}")
    for build in filter(None, (builds.current, builds.ramping)):
        if build not in living:
            missing = dict.fromkeys(queue for queue, found in queues if build not in found)
            return say.nobody_for_new_runs(build, ", ".join(missing), without_build=without_build)
    if living and not builds.current and not without_build:
        return say.nothing_current()
    if without_build and (living or builds.current):
        return say.mixed(builds.current)
    for build, count in builds.draining.items():
        if count and build not in living:
            return say.nobody_for_old_runs(build, count)
    if not builds.current:
        return say.null("workers cannot be distinguished: they have no RUNBOOK_BUILD_ID")
    return say.in_place(builds)


class _Texts:
    """How each case is worded, and what fixes it."""

    def __init__(self, environment: str, namespace: str, living: list[str]) -> None:
        self._environment = environment
        self._living = living
        queue = ids.task_queue(environment)
        self._set = f"temporal worker deployment set-current-version --namespace {namespace} --deployment-name {queue}"

    def null(self, why: str) -> Versions:
        return Versions(Check(environment=self._environment, name=VERSIONS, ok=None, detail=why))

    def in_place(self, builds: Builds) -> Versions:
        others = {builds.current, builds.ramping, *builds.draining}
        parts = [
            f"{builds.current} is current",
            *([f"some of the new runs go to {builds.ramping}"] if builds.ramping else []),
            *(f"{item} still drains{_open(count)}" for item, count in builds.draining.items()),
            *(f"{item} is there, and gets no new runs" for item in self._living if item not in others),
        ]
        check = Check(environment=self._environment, name=VERSIONS, ok=True, detail="; ".join(parts))
        return Versions(check)

    def nobody_for_new_runs(self, build: str, queues: str, *, without_build: bool) -> Versions:
        fixes = [starting(self._environment, build)]
        if self._living:
            fixes.append(self._set_current())
        elif without_build:
            fixes.append(f"{self._set} --unversioned")
        detail = f"new runs go to {build}, and no worker of it asks {queues} for work: they do not run"
        return self._red(detail, ", or: ".join(fixes), stand_still=True)

    def nothing_current(self) -> Versions:
        detail = f"there are workers of {', '.join(self._living)}, and none is current: new runs do not start"
        return self._red(detail, self._set_current(), stand_still=True)

    def mixed(self, current: str | None) -> Versions:
        end = "end the workers that have no RUNBOOK_BUILD_ID"
        takes = f"new runs go to {current}" if current else "they take all new runs"
        detail = f"workers without a build poll next to {', '.join(self._living)}: {takes}"
        return self._red(detail, end if current else f"{self._set_current()}, then {end}")

    def nobody_for_old_runs(self, build: str, count: int) -> Versions:
        detail = f"{build} still drains{_open(count)}, and no worker of it asks for work: they do not run"
        return self._red(detail, f"{starting(self._environment, build)}, until it is drained")

    def _set_current(self) -> str:
        return f"{self._set} --build-id {quote(self._living[0])}"

    def _red(self, detail: str, fix: str, *, stand_still: bool = False) -> Versions:
        check = Check(environment=self._environment, name=VERSIONS, ok=False, detail=detail, fix=fix)
        return Versions(check, stand_still)


def _read(found: WorkerDeploymentInfo) -> Builds:
    routing = found.routing_config
    by_age = sorted(
        found.version_summaries, key=lambda summary: summary.create_time.ToNanoseconds(), reverse=True
    )
    ramping = routing.ramping_deployment_version.build_id if routing.ramping_version_percentage else None
    return Builds(
        current=routing.current_deployment_version.build_id or None,
        ramping=ramping or None,
        draining={item.deployment_version.build_id: None for item in by_age if item.status == DRAINING},
        newest_first=tuple(item.deployment_version.build_id for item in by_age),
    )


async def _count_open(client: Client, deployment: str, build: str) -> int | None:
    try:
        return (await client.count_workflows(PINNED.format(deployment, build), rpc_timeout=RPC_TIMEOUT)).count
    except RPCError as error:
        if error.status in CANNOT_ANSWER | {RPCStatusCode.INVALID_ARGUMENT}:  # it knows no such attributes
            return None
        raise


def _open(count: int | None) -> str:
    return "" if count is None else f" ({count} open {'run' if count == 1 else 'runs'})"


def _build_of(poller: PollerInfo) -> str | None:
    options = poller.deployment_options
    return options.build_id if options.worker_versioning_mode == VERSIONED else None


def _all(queues: list[tuple[str, list[str | None]]], builds: Builds) -> list[str]:
    """Return every build, the newest first; one that Temporal has not noted yet is newer still."""
    fresh = {build for _, found in queues for build in found if build} - set(builds.newest_first)
    return [*sorted(fresh), *builds.newest_first]
