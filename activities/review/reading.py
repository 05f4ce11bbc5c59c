"""Reads a history into a course. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from activities.review.histories import (
    Act,
    Course,
    Json,
    Noted,
    Received,
    Recorded,
    first_of,
    object_of,
    value_of,
    values_of,
)
from activities.review.model import Cite
from runbook_model.steps import place_of

WRITE_REVIEW = "write_review"
"""The activity after which an incident only ends: what follows it is not in the review that it writes."""


def read(recorded: Recorded) -> Course:
    """Read a history, which has one event at least: that it started."""
    reader = _Reader(recorded)
    last = _last_review(recorded)
    for event in recorded.events:
        if event.event_id == last:
            reader.reviewed(event)
            break
        reader.take(event)
    return reader.course


def _last_review(recorded: Recorded) -> int | None:
    """Find the event that asks for the review after which the run only ended, or that is being written now.

    After one that was written too early, because something came in meanwhile, the history continues.
    """
    asked: int | None = None
    for event in recorded.events:
        match event.event_type:
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                wanted = event.activity_task_scheduled_event_attributes
                asked = event.event_id if wanted.activity_type.name == WRITE_REVIEW else None
            case (
                EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
                | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
                | EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
            ):
                asked = None
    return asked


class _Reader:
    def __init__(self, recorded: Recorded) -> None:
        first = recorded.events[0]
        self.course = Course(recorded, began=_time(first), latest=_time(first), cite=_cite(recorded, first))
        self._acts: dict[int, Act] = {}
        self._timers: dict[int, str] = {}

    def take(self, event: HistoryEvent) -> None:
        """Take one event; most are Temporal's own and tell nothing."""
        self.course.events += 1
        self.course.latest = _time(event)
        attributes = getattr(event, event.WhichOneof("attributes") or "", None)
        if (take := _TAKES.get(event.event_type)) is not None:
            take(self, event, attributes)

    def _cite(self, event: HistoryEvent) -> Cite:
        return _cite(self.course.recorded, event)

    def started(self, event: HistoryEvent, attributes: Any) -> None:
        del event
        course = self.course
        course.kind = attributes.workflow_type.name
        course.request = object_of(first_of(attributes.input))
        course.parent = attributes.parent_workflow_execution.workflow_id or None
        course.carried = bool(attributes.continued_execution_run_id)

    def scheduled(self, event: HistoryEvent, attributes: Any) -> None:
        place = place_of(attributes.header.fields)
        act = Act(
            name=attributes.activity_type.name,
            step=place.number if place else None,
            words=_summary(event) or attributes.activity_type.name,
            given=first_of(attributes.input),
            started=_time(event),
            cite=self._cite(event),
        )
        self._acts[event.event_id] = act
        self.course.acts.append(act)

    def reviewed(self, event: HistoryEvent) -> None:
        """Take the order to write the review for the end: it says how the run is about to end."""
        self.course.events += 1
        asked = event.activity_task_scheduled_event_attributes
        self._finish(event, "reviewed", object_of(first_of(asked.input)))

    def attempted(self, event: HistoryEvent, attributes: Any) -> None:
        del event
        act = self._acts.get(attributes.scheduled_event_id)
        if act is not None:
            act.attempts = max(act.attempts, attributes.attempt)
            act.why = _failure(attributes.last_failure) or act.why

    def closed(self, event: HistoryEvent, attributes: Any) -> None:
        """Note how an activity ended."""
        act = self._acts.get(attributes.scheduled_event_id)
        if act is not None:
            act.ended, act.end, act.how = _time(event), self._cite(event), _ENDS[event.event_type]
            act.result = _result(attributes)
            act.why = _failure(getattr(attributes, "failure", None)) or act.why

    def signalled(self, event: HistoryEvent, attributes: Any) -> None:
        self._on_line(event, attributes.signal_name, first_of(attributes.input))

    def updated(self, event: HistoryEvent, attributes: Any) -> None:
        wanted = attributes.accepted_request.input
        self._on_line(event, wanted.name, first_of(wanted.args))

    def memo(self, event: HistoryEvent, attributes: Any) -> None:
        values = values_of(attributes.upserted_memo.fields)
        self.course.memos.append(Noted(values, _time(event), self._cite(event)))

    def attributes(self, event: HistoryEvent, attributes: Any) -> None:
        values = values_of(attributes.search_attributes.indexed_fields)
        self.course.attributes.append(Noted(values, _time(event), self._cite(event)))

    def timer(self, event: HistoryEvent, attributes: Any) -> None:
        del attributes
        self._timers[event.event_id] = _summary(event)

    def fired(self, event: HistoryEvent, attributes: Any) -> None:
        words = self._timers.get(attributes.started_event_id, "")
        self.course.fired.append((_time(event), words, self._cite(event)))

    def task_failed(self, event: HistoryEvent, attributes: Any) -> None:
        why = _failure(attributes.failure)
        if why:  # without one the server only gave the task to another worker
            self.course.stumbles.append((_time(event), why, self._cite(event)))

    def task_timed_out(self, event: HistoryEvent, attributes: Any) -> None:
        if attributes.timeout_type == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE:
            self.course.stumbles.append(
                (_time(event), "the worker did not answer in time", self._cite(event))
            )

    def ended(self, event: HistoryEvent, attributes: Any) -> None:
        """Note how the run ended."""
        self.course.why = getattr(attributes, "reason", "") or _failure(getattr(attributes, "failure", None))
        self._finish(event, _ENDS[event.event_type], object_of(_result(attributes)))

    def _on_line(self, event: HistoryEvent, name: str, given: Json) -> None:
        self.course.received.append(Received(name, given, _time(event), self._cite(event)))

    def _finish(self, event: HistoryEvent, how: str, result: dict[str, Json]) -> None:
        course = self.course
        course.ended, course.end, course.how = _time(event), self._cite(event), how
        course.result = result


_ENDS: dict[EventType.ValueType, str] = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "done",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "failed",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "timed out",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed out",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "continued",
}
"""How an event says that an activity, or the run, ended."""

_TAKES: dict[EventType.ValueType, Callable[[_Reader, HistoryEvent, Any], None]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _Reader.started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _Reader.scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _Reader.attempted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _Reader.signalled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _Reader.updated,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: _Reader.memo,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _Reader.attributes,
    EventType.EVENT_TYPE_TIMER_STARTED: _Reader.timer,
    EventType.EVENT_TYPE_TIMER_FIRED: _Reader.fired,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _Reader.task_failed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: _Reader.task_timed_out,
    **{kind: _Reader.closed if "ACTIVITY_TASK" in EventType.Name(kind) else _Reader.ended for kind in _ENDS},
}


def _result(attributes: Any) -> Json:
    result = getattr(attributes, "result", None)
    return None if result is None else first_of(result)


def _summary(event: HistoryEvent) -> str:
    metadata = event.user_metadata
    said = value_of(metadata.summary) if metadata.HasField("summary") else None
    return said if isinstance(said, str) else ""


def _failure(failure: Failure | None) -> str:
    """Say why something failed, by the innermost word for it."""
    if failure is None:
        return ""
    inner = _failure(failure.cause) if failure.HasField("cause") else ""
    return inner or failure.message


def _cite(recorded: Recorded, event: HistoryEvent) -> Cite:
    return Cite(workflow=recorded.workflow, run=recorded.run, event=event.event_id)


def _time(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(UTC)
