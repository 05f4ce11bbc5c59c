"""Why a service is down."""

from __future__ import annotations

from datetime import datetime, timedelta

from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import TaskSeen
from runbook_model.measured.readings import Quality, Sample
from runbook_model.measured.symptoms import LogsRead, TasksRead
from runbook_model.releases.release import ServiceState
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of
from workflows.decisions.diagnosis.cause import Cause, Diagnosis, names_dependencies, unknown, unread

RECENT = timedelta(minutes=10)
"""What failed longer ago is not why the service is down now."""
EARLY = timedelta(minutes=10)
"""A release whose tasks fail so soon after it started has not proved itself."""
LOOP = 2
"""So many crashes are a loop; one may be chance."""
EVENTS = 3
"""How many of the newest events speak of now."""
NO_ROOM = "unable to place a task"


def classify_service_down(target: Target, tasks: TasksRead, logs: LogsRead, sample: Sample) -> Diagnosis:
    """Decide: bad-release, crash-loop, unhealthy-targets, capacity, deployment-stuck, dependency, fine, or unknown.

    Args:
        target: whose policies hold.
        tasks: what ECS says of the tasks.
        logs: the error lines.
        sample: health and error rate as users see them.
    """
    doubts = unread(tasks=tasks, release=tasks.onset, logs=logs)
    service = tasks.service
    if service is None:
        return unknown(tasks.summary, doubts=doubts)
    if service.desired == 0:
        return unknown("the desired count is 0: nothing is meant to run", doubts=doubts)
    failed = _failed_lately(tasks, service.task_definition) or _old_ones_failed(tasks, service)
    release = _fails_since_release(tasks, failed)
    dependency = names_dependencies(logs)
    if release:
        doubts = (*doubts, dependency) if dependency else doubts
        return Diagnosis(cause=Cause.BAD_RELEASE, because=release, doubts=doubts, release=tasks.onset.release)
    signs = {
        Cause.CAPACITY: _no_room(service),
        Cause.CRASH_LOOP: _crashes(failed),
        Cause.UNHEALTHY_TARGETS: _sick(failed),
        Cause.DEPLOYMENT_STUCK: _stuck(target, service, tasks.at),
    }
    found = {cause: sign for cause, sign in signs.items() if sign}
    if failed:
        found.pop(Cause.DEPLOYMENT_STUCK, None)  # it is stuck because tasks fail
    if len(found) > 1:
        return unknown(*found.values(), tasks.summary, doubts=doubts)
    for cause, sign in found.items():
        if dependency and cause in {Cause.CRASH_LOOP, Cause.UNHEALTHY_TARGETS}:
            return Diagnosis(cause=Cause.DEPENDENCY, because=(dependency, sign, tasks.summary), doubts=doubts)
        return Diagnosis(cause=cause, because=(sign, tasks.summary), doubts=doubts)
    elsewhere = dependency or ("no error lines name a dependency" if logs.known else None)
    return _tasks_are_well(tasks, sample, dependency, elsewhere, doubts)


def _old_ones_failed(tasks: TasksRead, service: ServiceState) -> list[TaskSeen]:
    """Return the tasks that failed lately of the revision before, where that may still have the traffic."""
    before = {item.task_definition for item in service.deployments if item.status != "PRIMARY"}
    old = sorted(before - {service.task_definition}) if service.two_revisions else []
    return [task for definition in old for task in _failed_lately(tasks, definition)]


def _failed_lately(tasks: TasksRead, definition: str) -> list[TaskSeen]:
    """Return the tasks of a release that failed lately, oldest first, and those that are unhealthy now."""
    revision = definition.rpartition("/")[2]
    stopped = [
        item
        for item in reversed(tasks.stopped)
        if item.release == revision and item.failed and item.stopped and tasks.at - item.stopped <= RECENT
    ]
    return stopped + [task for task in tasks.tasks if task.release == revision and task.sick]


def _fails_since_release(tasks: TasksRead, failed: list[TaskSeen]) -> tuple[str, ...]:
    """Say that tasks fail since the release started, where the one before it did not."""
    onset = tasks.onset
    if onset.began is None or onset.before is None or not failed:
        return ()
    if failed[0].release == onset.before != onset.release:
        return ()  # both run while traffic is shifted, and it is the old ones that fail
    ends = [(item.release, item.stopped) for item in tasks.stopped if item.failed and item.stopped]
    earlier = [at for release, at in ends if release == onset.before and at >= onset.began - RECENT]
    # Not only the recent ones: a loop that continues for long started when its first task failed.
    ours = [at for release, at in ends if release == failed[0].release and at >= onset.began]
    first = min(ours, default=tasks.at)
    if earlier or first - onset.began > EARLY:
        return ()
    after = format_duration(max(timedelta(0), first - onset.began))
    return (
        f"tasks of {onset.release} fail since {after} after it started; {onset.before} ran before it without that",
        failed[-1].reason or "a task is unhealthy",
    )


def _no_room(service: ServiceState) -> str | None:
    text = next((event for event in service.events[:EVENTS] if NO_ROOM in event), None)
    return text if not service.complete or _short(service) else None


def _short(service: ServiceState) -> bool:
    """Whether the new one of two revisions lacks tasks."""
    primary = service.primary
    return service.two_revisions and primary is not None and primary.running < primary.desired


def _crashes(failed: list[TaskSeen]) -> str | None:
    crashed = [item for item in failed if item.stop_code == "EssentialContainerExited"]
    if len(crashed) < LOOP:
        return None
    codes = sorted({code for item in crashed for code in item.exit_codes})
    exits = f" with exit code {', '.join(map(str, codes))}" if codes else ""
    return f"{count_of(len(crashed), 'task')} ended by themselves{exits}"


def _sick(failed: list[TaskSeen]) -> str | None:
    sick = [item for item in failed if item.sick]
    return f"{len(sick)} {'task fails' if len(sick) == 1 else 'tasks fail'} health checks" if sick else None


def _stuck(target: Target, service: ServiceState, now: datetime) -> str | None:
    primary = service.primary
    if primary is None or primary.rollout_state in {None, "COMPLETED"}:
        return None
    if primary.rollout_state == "FAILED":
        return f"the deployment failed: {primary.rollout_reason or 'ECS names no reason'}"
    lasts = now - primary.created_at
    takes = service.shifting.waits if service.shifting else timedelta(0)
    if lasts <= target.rollback.steady + takes:
        return None
    return f"the deployment is under way for {format_duration(lasts)}, {service.counts}"


def _tasks_are_well(
    tasks: TasksRead, sample: Sample, dependency: str | None, elsewhere: str | None, doubts: tuple[str, ...]
) -> Diagnosis:
    """Decide where no task is seen to fail: what users see and the logs are what is left."""
    users = tuple(reading.detail for reading in sample.readings if reading.decides)
    complete = tasks.service is not None and tasks.service.complete
    if complete and sample.quality is Quality.GOOD:
        return Diagnosis(cause=Cause.FINE, because=(*users, tasks.summary), doubts=doubts)
    if complete and dependency and sample.quality is Quality.BAD:
        return Diagnosis(cause=Cause.DEPENDENCY, because=(dependency, *users, tasks.summary), doubts=doubts)
    return unknown(*users, tasks.summary, *filter(None, (elsewhere,)), doubts=doubts)
