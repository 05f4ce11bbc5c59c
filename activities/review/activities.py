"""An incident's review is written here, from the histories that Temporal holds, and kept in a folder or a bucket."""

from __future__ import annotations

import asyncio
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.review.histories import Chronicle, Recorded, decode, first_of, object_of
from activities.review.markdown import page
from activities.review.model import Review, ReviewRequest, Written
from activities.review.writing import write
from runbook_model.errors import UnreachableError
from runbook_model.incident.messages import JOINED, PROCEDURE_ENDED, PROCEDURE_PROGRESS
from runbook_model.names.ids import hold_id, is_lock

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

NOWHERE = "not written: RUNBOOK_REVIEWS names no place; `runbook review` prints it"

PATIENCE = timedelta(seconds=10)

START_HOLD = "start_hold"
"""The activity that leaves a hold behind, which may end long after the incident."""

PROGRESS_SIGNALS = frozenset({PROCEDURE_PROGRESS, PROCEDURE_ENDED})
"""The signals by which a procedure tells an incident how it goes, also one that the incident did not start."""

Name = tuple[str, str]
"""Workflow and run; an empty run means the newest."""

S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^\s]*?))?/?")

_NO_NAME = re.compile(r"[^a-z0-9-]")


class ReviewActivities:
    """Writes reviews."""

    def __init__(self, client: Client, shelf: Shelf | None) -> None:
        self._client = client
        self._shelf = shelf

    @activity.defn
    async def write_review(self, request: ReviewRequest) -> Written:
        """Write the review of an incident that is about to end; the same again is harmless."""
        if self._shelf is None:
            return Written(detail=NOWHERE)
        try:
            chronicle = await gather(self._client, request.workflow_id, request.run_id)
        except RPCError as error:
            raise UnreachableError(f"could not read the incident's histories: {error.message}") from error
        files = files_of(await asyncio.to_thread(write, chronicle))
        places = await asyncio.to_thread(self._shelf.keep, files)
        return Written(detail=f"written to {places[0]}", places=places)


async def gather(client: Client, workflow_id: str, run_id: str | None = None) -> Chronicle:
    """Read everything that belongs to an incident or a procedure, backwards and forwards over continue-as-new.

    Raises:
        RPCError: Temporal does not answer, or there is no such run.
    """
    first = (workflow_id, run_id or await _newest(client, workflow_id))
    found: dict[Name, Recorded] = {}
    lost: dict[Name, None] = {}
    ahead = [first]
    while ahead:
        name = ahead.pop(0)
        if name in found or name in lost:
            continue
        try:
            recorded = await _read(client, name)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or name == first:
                raise
            lost[name] = None
            continue
        if (recorded.workflow, recorded.run) not in found:
            found[recorded.workflow, recorded.run] = recorded
            ahead += [other for other in _related(recorded) if other not in found and not is_lock(other[0])]
    ordered = sorted(found.values(), key=lambda item: (item.workflow != workflow_id, *_began(item)))
    return Chronicle(
        workflow_id, tuple(ordered), tuple(f"{name} (run {run or 'newest'})" for name, run in lost)
    )


def _related(recorded: Recorded) -> Iterator[Name]:
    """Name the runs that a history points to."""
    yield from _holds(recorded)
    for event in recorded.events:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                before = event.workflow_execution_started_event_attributes.continued_execution_run_id
                if before:
                    yield recorded.workflow, before
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                after = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
                yield recorded.workflow, after
            case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
                child = event.child_workflow_execution_started_event_attributes.workflow_execution
                yield child.workflow_id, child.run_id
            case EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
                sent = event.signal_external_workflow_execution_initiated_event_attributes
                if sent.signal_name == JOINED:
                    yield sent.workflow_execution.workflow_id, sent.workflow_execution.run_id
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                came = event.workflow_execution_signaled_event_attributes
                text = first_of(came.input) if came.signal_name in PROGRESS_SIGNALS else None
                if isinstance(text, dict) and text.get("id") and text.get("run_id"):
                    yield str(text["id"]), str(text["run_id"])


def _holds(recorded: Recorded) -> Iterator[Name]:
    """Name the holds that a run left behind."""
    started: dict[int, str] = {}
    for event in recorded.events:
        order = event.activity_task_scheduled_event_attributes
        if order.activity_type.name == START_HOLD:
            asked = object_of(first_of(order.input))
            started[event.event_id] = hold_id(str(asked.get("environment")), str(asked.get("service")))
        done = event.activity_task_completed_event_attributes
        if done.scheduled_event_id in started and isinstance(run := first_of(done.result), str):
            yield started[done.scheduled_event_id], run


async def _read(client: Client, name: Name) -> Recorded:
    workflow_id, run_id = name
    run_id = run_id or await _newest(client, workflow_id)
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    events = [event async for event in handle.fetch_history_events(rpc_timeout=PATIENCE)]
    await decode(events, client.data_converter.payload_codec)
    return Recorded(workflow_id, run_id, events)


async def _newest(client: Client, workflow_id: str) -> str:
    answer = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        ),
        retry=True,
        timeout=PATIENCE,
    )
    return answer.workflow_execution_info.execution.run_id


def _began(recorded: Recorded) -> tuple[int, int, str]:
    events: Sequence[HistoryEvent] = recorded.events
    at = events[0].event_time if events else None
    return (at.seconds, at.nanos, recorded.workflow) if at else (0, 0, recorded.workflow)


class Shelf(ABC):
    """A place that keeps files by their names."""

    def keep(self, files: Mapping[str, str]) -> tuple[str, ...]:
        """Write files, whole or not at all each; returns where they are.

        Raises:
            OutsideError: they could not be written.
        """
        return tuple(self._write(name, text) for name, text in files.items())

    @abstractmethod
    def _write(self, name: str, text: str) -> str: ...


class Folder(Shelf):
    """A folder of the worker's machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _write(self, name: str, text: str) -> str:
        path = self._root / name
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise UnreachableError(
                f"could not write {path}: {error.strerror}", fix="correct RUNBOOK_REVIEWS"
            ) from error
        return str(path)


class Bucket(Shelf):
    """A bucket of S3."""

    def __init__(self, clients: AwsClients, bucket: str, prefix: str) -> None:
        self._clients = clients
        self._bucket = bucket
        self._prefix = prefix

    def _write(self, name: str, text: str) -> str:
        key = f"{self._prefix}/{name}" if self._prefix else name
        kind = "application/json" if name.endswith(".json") else "text/markdown; charset=utf-8"
        with self._clients.naming_errors(f"write the review to s3://{self._bucket}"):
            self._clients.s3().put_object(Bucket=self._bucket, Key=key, Body=text.encode(), ContentType=kind)
        return f"s3://{self._bucket}/{key}"


def shelf_at(place: str | None, clients: AwsClients) -> Shelf | None:
    """Open the shelf that ``RUNBOOK_REVIEWS`` names, if it names one."""
    if not place:
        return None
    found = S3.fullmatch(place)
    if found:
        return Bucket(clients, found["bucket"], found["prefix"] or "")
    return Folder(Path(place))


def files_of(review: Review) -> dict[str, str]:
    """Name a review's files: by target, by when it started, and by its first run, so that no two ever meet."""
    first = review.sources[0]
    folder = "/".join(
        _NO_NAME.sub("-", name)[:63] or "unknown" for name in (review.environment, review.service)
    )
    name = f"{folder}/{review.timeline[0].at:%Y-%m-%dT%H%M%SZ}-{first.run[:8]}"
    return {f"{name}.md": page(review), f"{name}.json": review.to_json()}
