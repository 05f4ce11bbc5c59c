"""What the command line itself can see: the namespace, its search attributes, who polls the queues, and by which keys workers read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from shlex import quote
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client, WorkflowHandle, WorkflowHistoryEventFilterType
from temporalio.service import RPCError, RPCStatusCode

from activities.runtime.encryption import Codec, key_of
from activities.temporal.runs import read_pollers
from runbook_model.checks import Check
from runbook_model.errors import MissingKeyError
from runbook_model.names import ids
from runbook_model.text.durations import format_duration
from starter.client.connect import RPC_TIMEOUT, is_unreachable

Asked = tuple[str, list[PollerInfo]]
"""A queue, and who asked it for work lately."""

KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD

WANTED = {key.name for key in ids.SEARCH_ATTRIBUTES}

CANNOT_ANSWER = frozenset({RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED})
"""A Temporal that is somebody's service keeps its operator's calls to itself."""

ENCRYPTION = "encryption"

SAME_KEYS = (
    "give the workers, the webhook and this machine the same keys, the workers first: docs/encryption.md"
)


async def check_server(client: Client, *, fix: bool) -> list[Check]:
    """Look at Temporal, the namespace and, where it is there, its search attributes; ``fix`` adds those that are missing.

    Raises:
        RPCError: Temporal is away.
    """
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=RPC_TIMEOUT)
    address = client.service_client.config.target_host
    server = Check(name="temporal", ok=True, detail=f"Temporal {info.server_version} answers at {address}")
    namespace = await _check_namespace(client)
    if not namespace.ok:
        return [server, namespace]
    return [server, namespace, await _check_search_attributes(client, fix=fix)]


async def who_asks(client: Client, environment: str) -> list[Asked]:
    """Read who asked each queue of an environment for work lately; that of workflows comes first.

    Raises:
        RPCError: Temporal is away.
    """
    queues = [
        (ids.task_queue(environment), TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        (ids.task_queue(environment), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
        (ids.watch_queue(environment), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    ]
    found = await asyncio.gather(*(_pollers(client, name, kind) for name, kind in queues))
    return [(name, pollers) for (name, _), pollers in zip(queues, found, strict=True)]


def judge_worker(environment: str, asked: Sequence[Asked], build: str | None) -> Check:
    """Say whether somebody asks every queue of an environment for work; ``build`` takes its new runs."""
    for queue, pollers in asked:
        if not pollers:
            return no_worker(environment, f"nobody asks {queue} for work", starting(environment, build))
    queue, pollers = asked[0]
    detail = f"{', '.join(sorted({poller.identity for poller in pollers}))} asked {queue} for work"
    return Check(environment=environment, name="worker", ok=True, detail=detail)


def no_worker(environment: str, why: str, fix: str) -> Check:
    """Say that no worker does what an environment's procedures ask for."""
    return Check(environment=environment, name="worker", ok=False, detail=why, fix=fix)


def starting(environment: str, build: str | None) -> str:
    """Say how a worker is started that takes the runs of a build; None: builds are not distinguished."""
    variable = f"RUNBOOK_BUILD_ID={quote(build)} " if build else ""
    return f"start a worker: {variable}runbook worker --environment {environment}"


async def _check_namespace(client: Client) -> Check:
    name = client.namespace
    try:
        found = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=name), timeout=RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        fix = f"set TEMPORAL_NAMESPACE, or: temporal operator namespace create --namespace {name} --retention 90d"
        return Check(name="namespace", ok=False, detail=f'there is no namespace "{name}"', fix=fix)
    kept = found.config.workflow_execution_retention_ttl.ToTimedelta()
    short = "" if kept >= ids.RETENTION else f"; reviews need them: {ids.RETENTION.days} days are advised"
    detail = f'"{name}" keeps histories for {format_duration(kept)}{short}'
    return Check(name="namespace", ok=True, detail=detail)


async def _check_search_attributes(client: Client, *, fix: bool) -> Check:
    name = "search-attributes"
    try:
        known = await _known_attributes(client)
        missing = sorted(WANTED - set(known))
        added = missing if fix else []
        for item in added:
            await _add_attribute(client, item)
        if added:
            known = await _known_attributes(client)
    except RPCError as error:
        if error.status not in CANNOT_ANSWER:
            raise
        return Check(name=name, ok=None, detail=f"this Temporal does not say: {error.message}")
    missing = sorted(WANTED - set(known))
    if missing:
        return _attributes_wrong(f"missing: {', '.join(missing)}", _creation(client, missing))
    if wrong := sorted(item for item in WANTED if known[item] != KEYWORD):
        removal = f"temporal operator search-attribute remove --namespace {client.namespace} --name {' --name '.join(wrong)}"
        return _attributes_wrong(
            f"not of the type Keyword: {', '.join(wrong)}", f"{removal}; runbook doctor --fix"
        )
    detail = f"; added now: {', '.join(added)}" if added else ""
    return Check(name=name, ok=True, detail=f"all {len(WANTED)} are registered{detail}")


def _attributes_wrong(detail: str, fix: str) -> Check:
    return Check(name="search-attributes", ok=False, detail=detail, fix=fix)


def _creation(client: Client, missing: list[str]) -> str:
    by_hand = (
        f"temporal operator search-attribute create --namespace {client.namespace} --type Keyword --name {name}"
        for name in missing
    )
    return f"runbook doctor --fix, or: {' && '.join(by_hand)}"


async def _known_attributes(client: Client) -> dict[str, int]:
    found = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=RPC_TIMEOUT
    )
    return dict(found.custom_attributes)


async def _add_attribute(client: Client, name: str) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes={name: KEYWORD}),
        timeout=RPC_TIMEOUT,
    )


async def _pollers(client: Client, queue: str, kind: TaskQueueType.ValueType) -> list[PollerInfo]:
    """Read who asked for work lately; one that died a moment ago is still among them."""
    try:
        return await read_pollers(client, queue, RPC_TIMEOUT, kind=kind)
    except RPCError as error:
        if is_unreachable(error):
            raise
        return []


async def judge_encryption(client: Client, environment: str, run: WorkflowHandle[Any, Any]) -> Check:
    """Tell by which keys a run was asked for here and answered there; what is reported here was read on both sides."""
    codec = client.data_converter.payload_codec
    ours = codec.encrypts_by if isinstance(codec, Codec) else None
    closed = WorkflowHistoryEventFilterType.CLOSE_EVENT
    theirs = None
    async for event in run.fetch_history_events(event_filter_type=closed, rpc_timeout=RPC_TIMEOUT):
        theirs = key_of(event.workflow_execution_completed_event_attributes.result.payloads[0])
    if ours is None and theirs is None:
        detail = "off: RUNBOOK_CODEC_KEYS is set neither here nor at the worker"
        return Check(environment=environment, name=ENCRYPTION, ok=None, detail=detail)
    detail = f'by key "{ours}"' if ours == theirs else f'by key "{ours}" here and by "{theirs}" at the worker'
    return Check(
        environment=environment, name=ENCRYPTION, ok=True, detail=f"what histories hold is encrypted {detail}"
    )


async def unread(run: WorkflowHandle[Any, Any]) -> str | None:
    """Say which key a worker lacks for what it was asked, if that is what keeps it."""
    async for event in run.fetch_history_events(rpc_timeout=RPC_TIMEOUT):
        failure = event.workflow_task_failed_event_attributes.failure
        if failure.application_failure_info.type == MissingKeyError.__name__:
            return failure.message
    return None


def not_shared(environment: str, why: str) -> Check:
    """Say that one side cannot read the other."""
    return Check(environment=environment, name=ENCRYPTION, ok=False, detail=why, fix=SAME_KEYS)
