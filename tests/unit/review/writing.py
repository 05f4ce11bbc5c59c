"""Histories written by hand, event by event, as Temporal would record them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from activities.review.histories import Chronicle, Recorded
from activities.review.writing import write
from runbook_model.steps import STEP_HEADER

if TYPE_CHECKING:
    from activities.review.model import Review

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def payload(value) -> Payload:
    if value is None:
        return Payload(metadata={"encoding": b"binary/null"})
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())


def payloads(value) -> Payloads:
    return Payloads(payloads=[payload(value)])


class Hand:
    """Writes one history; its clock is moved by hand."""

    def __init__(
        self,
        workflow: str,
        kind: str,
        request: dict,
        *,
        run: str = "run-1",
        parent: str = "",
        before: str = "",
        at=AT,
    ):
        self.workflow, self.run, self.now = workflow, run, at
        self.events: list[HistoryEvent] = []
        started = self.add("WORKFLOW_EXECUTION_STARTED").workflow_execution_started_event_attributes
        started.workflow_type.name = kind
        started.input.CopyFrom(payloads(request))
        started.parent_workflow_execution.workflow_id = parent
        started.continued_execution_run_id = before

    def later(self, **span) -> Hand:
        self.now += timedelta(**span)
        return self

    def add(self, kind: str) -> HistoryEvent:
        stamp = Timestamp()
        stamp.FromDatetime(self.now.replace(tzinfo=None))
        event = HistoryEvent(
            event_id=len(self.events) + 1, event_time=stamp, event_type=EventType.Value(f"EVENT_TYPE_{kind}")
        )
        self.events.append(event)
        return event

    def act(
        self,
        name: str,
        words: str,
        given=None,
        result=None,
        *,
        seconds=0.0,
        attempts=1,
        why="",
        how="done",
        step=1,
    ) -> Hand:
        event = self.add("ACTIVITY_TASK_SCHEDULED")
        event.user_metadata.summary.CopyFrom(payload(words))
        scheduled = event.activity_task_scheduled_event_attributes
        scheduled.activity_type.name = name
        scheduled.header.fields[STEP_HEADER].CopyFrom(payload({"heading": "x", "number": step}))
        scheduled.input.CopyFrom(payloads(given))
        if how == "open":
            return self
        self.later(seconds=seconds)
        started = self.add("ACTIVITY_TASK_STARTED").activity_task_started_event_attributes
        started.scheduled_event_id, started.attempt = event.event_id, attempts
        if why and how == "done":
            started.last_failure.CopyFrom(Failure(message=why))
        if how == "done":
            closed = self.add("ACTIVITY_TASK_COMPLETED").activity_task_completed_event_attributes
            closed.result.CopyFrom(payloads(result))
        else:
            closed = self.add("ACTIVITY_TASK_FAILED").activity_task_failed_event_attributes
            closed.failure.message = why
        closed.scheduled_event_id = event.event_id
        return self

    def memo(self, **values) -> Hand:
        memo = self.add("WORKFLOW_PROPERTIES_MODIFIED").workflow_properties_modified_event_attributes
        for name, value in values.items():
            memo.upserted_memo.fields[name].CopyFrom(payload(value))
        return self

    def attribute(self, **values) -> Hand:
        upsert = self.add(
            "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"
        ).upsert_workflow_search_attributes_event_attributes
        for name, value in values.items():
            upsert.search_attributes.indexed_fields[name].CopyFrom(payload(value))
        return self

    def signal(self, name: str, given=None) -> Hand:
        signalled = self.add("WORKFLOW_EXECUTION_SIGNALED").workflow_execution_signaled_event_attributes
        signalled.signal_name = name
        signalled.input.CopyFrom(payloads(given))
        return self

    def update(self, name: str, given=None) -> Hand:
        accepted = self.add(
            "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"
        ).workflow_execution_update_accepted_event_attributes
        accepted.accepted_request.input.name = name
        accepted.accepted_request.input.args.CopyFrom(payloads(given))
        return self

    def stumble(self, why: str) -> Hand:
        self.add("WORKFLOW_TASK_FAILED").workflow_task_failed_event_attributes.failure.message = why
        return self

    def end(self, **result) -> Hand:
        completed = self.add("WORKFLOW_EXECUTION_COMPLETED").workflow_execution_completed_event_attributes
        completed.result.CopyFrom(payloads(result))
        return self

    def terminate(self, reason: str) -> Hand:
        self.add(
            "WORKFLOW_EXECUTION_TERMINATED"
        ).workflow_execution_terminated_event_attributes.reason = reason
        return self

    def go_on(self, run: str) -> Hand:
        event = self.add("WORKFLOW_EXECUTION_CONTINUED_AS_NEW")
        event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id = run
        return self

    @property
    def recorded(self) -> Recorded:
        return Recorded(self.workflow, self.run, self.events)


def review_of(*hands: Hand, lost: tuple[str, ...] = ()) -> Review:
    return write(Chronicle(hands[0].workflow, tuple(hand.recorded for hand in hands), lost))


def reading(kind="error-rate", quality="bad", at=AT, **more) -> dict:
    return {
        "kind": kind, "quality": quality, "detail": f"{kind} is {quality}", "source": "prometheus", "query": "q",
        "at": at.isoformat(), "value": 0.5, **more,
    }  # fmt: skip


def sample(quality: str, at: datetime) -> dict:
    return {"at": at.isoformat(), "readings": [reading(quality=quality, at=at)]}


def checkpoint(opened=AT, **more) -> dict:
    plan = {"headline": "Put shop back to shop:6", "because": ["shop:6 soaked for 2h"]}
    return {
        "question": "Put the release back?", "plan": plan, "plan_hash": "abc", "opened": opened.isoformat(),
        "approvals": [], **more,
    }  # fmt: skip


def alert(name="HighErrorRate", status="firing", since=AT, **more) -> dict:
    return {
        "fingerprint": name, "name": name, "status": status, "severity": "warning", "starts_at": since.isoformat(),
        "annotations": {}, **more,
    }  # fmt: skip
