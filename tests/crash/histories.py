"""What a run's history tells: which event comes, who works on it, in which part of the page, and who continued when."""

import asyncio
import socket
from datetime import UTC

from temporalio.api.enums.v1 import EventType

from runbook_model.steps import place_of
from tests.patience import PATIENCE

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
TAKEN = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED: "workflow_task_started_event_attributes",
    STARTED: "activity_task_started_event_attributes",
}
"""Events by which a worker takes a task, and the attribute that names the worker."""
ACTIVITY_ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
}
CHANGING = {"deploy_release", "force_deployment", "stop_deployment", "register_release"}
WAITS = {"await_steady_state", "await_drift", "observe"}
"""Activities with a queue of their own: any worker may have them, not only the one that has the workflow."""
BEGINNING = "Before the first step"


async def until_written(handle, wanted):
    """Follow a history as it is written; return it up to the first event that is wanted."""
    events = []
    async with asyncio.timeout(PATIENCE):
        async for event in handle.fetch_history_events(wait_new_event=True):
            events.append(event)
            if wanted(event):
                return events
    raise AssertionError(f"it ended after {len(events)} events without the one that was waited for")


def schedules(activity):
    """A wish for ``until_written``: this activity is scheduled."""
    return lambda event: activity_of(event) == activity


def activity_of(event):
    """The activity that an event schedules, None for all other events."""
    if event.event_type != SCHEDULED:
        return None
    return event.activity_task_scheduled_event_attributes.activity_type.name


def kind_of(event):
    """``ActivityTaskScheduled`` and the like."""
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
    return "".join(word.capitalize() for word in name.split("_"))


def part_of(events):
    """The heading of the page that the last of these events belongs to."""
    headers = [
        event.activity_task_scheduled_event_attributes.header.fields for event in events if activity_of(event)
    ]
    places = [place for place in map(place_of, headers) if place]
    return places[-1].heading if places else BEGINNING


def change_is_under_way(events):
    """Whether the events end while a change that was started is not known to be done."""
    started = {event.event_id for event in events if activity_of(event) in CHANGING}
    return bool(started - ended_activities(events))


def ended_activities(events):
    """The events by which activities were scheduled that have ended since."""
    return {
        getattr(event, ACTIVITY_ENDS[event.event_type]).scheduled_event_id
        for event in events
        if event.event_type in ACTIVITY_ENDS
    }


async def holder(handle, events, pids):
    """The worker that a run stands or falls with now: who has its activity, else who had its last workflow task.

    The activity may have ended meanwhile; then it is who had the last workflow task.
    """
    scheduled, waits = events[-1].event_id, activity_of(events[-1])
    if waits in WAITS:
        async with asyncio.timeout(PATIENCE):
            while scheduled not in ended_activities(events):
                if pid := await worker_of(handle, waits):
                    return pid
                await asyncio.sleep(0.005)
                events = list((await handle.fetch_history()).events)
    names = [event.workflow_task_started_event_attributes.identity for event in events]
    found = [pid for name in names if (pid := pid_of(name)) in pids]
    return found[-1] if found else pids[0]


async def worker_of(handle, activity):
    """The process that works on an activity, or did last; 0 when nobody does."""
    described = await handle.describe()
    pending = described.raw_description.pending_activities
    return next(
        (pid_of(item.last_worker_identity) for item in pending if item.activity_type.name == activity), 0
    )


def started(events, activity):
    """The event by which the last attempt of an activity started."""
    scheduled = next(event.event_id for event in events if activity_of(event) == activity)
    return next(
        event
        for event in events
        if event.event_type == STARTED
        and event.activity_task_started_event_attributes.scheduled_event_id == scheduled
    )


async def seconds_until_taken(handle, killed_at, killed):
    """How long nobody worked on a run: from a kill until another process took a task of it; None at its end.

    An activity that the other process had at the time continues undisturbed; then it counts from that one's end.
    """
    events = list((await handle.fetch_history()).events)
    began = {event.event_id: time_of(event) for event in events if event.event_type == STARTED}
    idle_from = killed_at
    for event in events:
        if ended := ACTIVITY_ENDS.get(event.event_type):
            end = getattr(event, ended)
            undisturbed = began[end.started_event_id] < killed_at < time_of(event)
            if undisturbed and pid_of(getattr(end, "identity", "")) not in {0, killed}:
                idle_from = time_of(event)
    taken = [
        time_of(event)
        for event in events
        if event.event_type in TAKEN
        and pid_of(getattr(event, TAKEN[event.event_type]).identity) not in {0, killed}
    ]
    return min((at - idle_from for at in taken if at > idle_from), default=None)


def time_of(event):
    """When an event came to be, in seconds since 1970."""
    return event.event_time.ToDatetime(UTC).timestamp()


def pid_of(identity):
    """Workers are known to Temporal as ``<pid>@<host>``."""
    pid, _, host = identity.partition("@")
    return int(pid) if host == socket.gethostname() and pid.isdigit() else 0
