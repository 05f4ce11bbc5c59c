"""One history as a course of things that happened: activities from beginning to end, messages, memos, timers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import EventType, TimeoutType

from activities.review.histories import Json, first_of, value_of, values_of
from activities.review.model import Cite

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.api.failure.v1 import Failure
    from temporalio.api.history.v1 import HistoryEvent

    from activities.review.histories import Recorded

WRITE_REVIEW = "write_review"
"""The activity after which an incident only ends: what follows it is not in the review that it writes."""


@dataclass
class Act:
    """An activity, from when it was wanted to how it ended."""

    name: str
    step: str
    """Its id: ``<heading> #<number of the step>``."""
    words: str
    given: Json
    begun: datetime
    cite: Cite
    ended: datetime | None = None
    end: Cite | None = None
    how: str = "open"
    """``done``, ``failed``, ``timed out``, ``cancelled``; ``open`` while it goes on."""
    result: Json = None
    attempts: int = 1
    why: str = ""
    """The last failure, also of one that was done in the end."""


@dataclass
class Heard:
    """A signal or an update that came in."""

    name: str
    given: Json
    at: datetime
    cite: Cite


@dataclass
class Noted:
    """A memo, or search attributes, that the run wrote."""

    values: dict[str, Json]
    at: datetime
    cite: Cite


@dataclass
class Course:
    """What one run did."""

    recorded: Recorded
    began: datetime
    cite: Cite
    kind: str = ""
    request: dict[str, Json] = field(default_factory=dict)
    parent: str | None = None
    carried: bool = False
    """Whether it goes on with what an earlier run of the same id began."""
    acts: list[Act] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    memos: list[Noted] = field(default_factory=list)
    attributes: list[Noted] = field(default_factory=list)
    fired: list[tuple[datetime, str, Cite]] = field(default_factory=list)
    """Timers that ran out, by their summary."""
    stumbles: list[tuple[datetime, str, Cite]] = field(default_factory=list)
    """Workflow tasks that failed or timed out: a worker died, or code was wrong."""
    ended: datetime | None = None
    end: Cite | None = None
    how: str = "open"
    """``completed``, ``failed``, ``timed out``, ``cancelled``, ``terminated``, ``continued``, ``reviewed``."""
    result: dict[str, Json] = field(default_factory=dict)
    why: str = ""
    events: int = 0

    @property
    def workflow(self) -> str:
        """Its id."""
        return self.recorded.workflow

    @property
    def last(self) -> datetime:
        """When it ended, or when the last thing happened."""
        return self.ended or _time(self.recorded.events[max(self.events - 1, 0)])


def read(recorded: Recorded) -> Course:
    """Read a history, which has one event at least: that it began."""
    reader = _Reader(recorded)
    for event in recorded.events:
        reader.take(event)
        if reader.course.how == "reviewed":
            break
    return reader.course


class _Reader:
    def __init__(self, recorded: Recorded) -> None:
        first = recorded.events[0]
        self.course = Course(recorded, began=_time(first), cite=_cite(recorded, first))
        self._acts: dict[int, Act] = {}
        self._timers: dict[int, str] = {}

    def take(self, event: HistoryEvent) -> None:
        """Take one event; most are Temporal's own and tell nothing."""
        self.course.events += 1
        attributes = getattr(event, event.WhichOneof("attributes") or "", None)
        if (take := _TAKES.get(event.event_type)) is not None:
            take(self, event, attributes)

    def _cite(self, event: HistoryEvent) -> Cite:
        return _cite(self.course.recorded, event)

    def started(self, event: HistoryEvent, attributes: Any) -> None:
        del event
        course = self.course
        course.kind = attributes.workflow_type.name
        course.request = _object(first_of(attributes.input))
        course.parent = attributes.parent_workflow_execution.workflow_id or None
        course.carried = bool(attributes.continued_execution_run_id)

    def scheduled(self, event: HistoryEvent, attributes: Any) -> None:
        if attributes.activity_type.name == WRITE_REVIEW:
            self._finish(event, "reviewed", result=_object(first_of(attributes.input)))
            return
        act = Act(
            name=attributes.activity_type.name,
            step=attributes.activity_id,
            words=_summary(event) or attributes.activity_type.name,
            given=first_of(attributes.input),
            begun=_time(event),
            cite=self._cite(event),
        )
        self._acts[event.event_id] = act
        self.course.acts.append(act)

    def attempted(self, event: HistoryEvent, attributes: Any) -> None:
        del event
        act = self._acts.get(attributes.scheduled_event_id)
        if act is not None:
            act.attempts = max(act.attempts, attributes.attempt)
            act.why = _failure(attributes.last_failure) or act.why

    def completed(self, event: HistoryEvent, attributes: Any) -> None:
        self._close(event, attributes, "done", result=first_of(attributes.result))

    def failed(self, event: HistoryEvent, attributes: Any) -> None:
        self._close(event, attributes, "failed", why=_failure(attributes.failure))

    def timed_out(self, event: HistoryEvent, attributes: Any) -> None:
        why = _failure(attributes.failure.cause) or _failure(attributes.failure)
        self._close(event, attributes, "timed out", why=why)

    def cancelled(self, event: HistoryEvent, attributes: Any) -> None:
        self._close(event, attributes, "cancelled")

    def signalled(self, event: HistoryEvent, attributes: Any) -> None:
        self._hear(event, attributes.signal_name, first_of(attributes.input))

    def updated(self, event: HistoryEvent, attributes: Any) -> None:
        wanted = attributes.accepted_request.input
        self._hear(event, wanted.name, first_of(wanted.args))

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

    def ended_well(self, event: HistoryEvent, attributes: Any) -> None:
        self._finish(event, "completed", result=_object(first_of(attributes.result)))

    def ended_badly(self, event: HistoryEvent, attributes: Any) -> None:
        how = {
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed out",
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
        }[event.event_type]
        self.course.why = getattr(attributes, "reason", "") or _failure(getattr(attributes, "failure", None))
        self._finish(event, how)

    def continued(self, event: HistoryEvent, attributes: Any) -> None:
        del attributes
        self._finish(event, "continued")

    def _hear(self, event: HistoryEvent, name: str, given: Json) -> None:
        self.course.heard.append(Heard(name, given, _time(event), self._cite(event)))

    def _close(
        self, event: HistoryEvent, attributes: Any, how: str, *, result: Json = None, why: str = ""
    ) -> None:
        act = self._acts.get(attributes.scheduled_event_id)
        if act is not None:
            act.ended, act.end, act.how = _time(event), self._cite(event), how
            act.result, act.why = result, why or act.why

    def _finish(self, event: HistoryEvent, how: str, result: dict[str, Json] | None = None) -> None:
        course = self.course
        course.ended, course.end, course.how = _time(event), self._cite(event), how
        course.result = result or {}


_TAKES: dict[int, Callable[[_Reader, HistoryEvent, Any], None]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _Reader.started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _Reader.scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _Reader.attempted,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: _Reader.completed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: _Reader.failed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: _Reader.timed_out,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: _Reader.cancelled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: _Reader.signalled,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: _Reader.updated,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED: _Reader.memo,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _Reader.attributes,
    EventType.EVENT_TYPE_TIMER_STARTED: _Reader.timer,
    EventType.EVENT_TYPE_TIMER_FIRED: _Reader.fired,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _Reader.task_failed,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT: _Reader.task_timed_out,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _Reader.ended_well,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _Reader.ended_badly,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _Reader.ended_badly,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: _Reader.ended_badly,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _Reader.ended_badly,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: _Reader.continued,
}


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


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _cite(recorded: Recorded, event: HistoryEvent) -> Cite:
    return Cite(workflow=recorded.workflow, run=recorded.run, event=event.event_id)


def _time(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(UTC)
