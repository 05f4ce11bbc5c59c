"""The service scheduler: which tasks to start and to stop now, within minimum and maximum percent."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sandbox.ecs.answers.services import desired_count
from sandbox.ecs.deployments.life import REPLACED, TaskLives
from sandbox.ecs.limits import fewest_healthy, most_tasks
from sandbox.ecs.model import Deployment, Service, Task

REPEAT_SECONDS = 5.0
"""An event that says why nothing moves comes no more often than this."""


def schedule(service: Service, lives: TaskLives, now: float) -> None:
    """Bring a service's tasks closer to what a rolling deployment wants.

    Former deployments hold their tasks, and replace those that die by their own revision, until newer ones take over.
    """
    primary = service.primary
    if primary is None:
        return
    desired = desired_count(service)
    former = [item for item in reversed(service.deployments) if item is not primary]
    if primary.rollout_state != "FAILED":  # a failed deployment takes nothing over
        _take_over(service, primary, former, now)
    wanted = {item: item.wanted for item in former} | {primary: desired}
    for item in wanted:
        if item.rollout_state == "FAILED":  # and starts nothing
            wanted[item] = min(wanted[item], len(_staying(service, item)))
    schedule_each(service, wanted, lives, now, most=_ceiling(service, desired))


def schedule_each(
    service: Service,
    wanted: Mapping[Deployment, int],
    lives: TaskLives,
    now: float,
    *,
    most: float = math.inf,
) -> None:
    """Bring each deployment's tasks to its own count, in this order, with at most so many tasks in all."""
    room = most - len(service.live_tasks)
    for deployment, count in wanted.items():
        deployment.wanted = count
        staying = sorted(_staying(service, deployment), key=lambda task: (task.good, task.placed))
        missing = int(max(0, min(count - len(staying), room)))
        room -= missing  # its place is kept while it waits after deaths
        if now >= deployment.next_start:
            for _ in range(missing):
                lives.provision(service, deployment, task_tags(service, deployment))
        _stop(service, staying[: max(0, len(staying) - count)], lives, now)
    _place(service, lives, now)


def _ceiling(service: Service, desired: int) -> int:
    """Return how many tasks may live; a DAEMON service swaps its only task in place."""
    if service.config["schedulingStrategy"] == "DAEMON":
        return desired
    return most_tasks(service.config["deploymentConfiguration"], desired)


def _staying(service: Service, deployment: Deployment) -> list[Task]:
    return [task for task in service.tasks if task.stays and task.deployment is deployment]


def task_tags(service: Service, deployment: Deployment) -> dict[str, str]:
    """Return the tags that a new task gets from its service or task definition."""
    source = service.config.get("propagateTags", "NONE")
    tags: dict[str, str] = {}
    if source == "SERVICE":
        tags |= service.tags
    elif source == "TASK_DEFINITION":
        tags |= deployment.revision.task_definition.tags
    if service.config.get("enableECSManagedTags"):
        tags |= {"aws:ecs:clusterName": service.cluster.name, "aws:ecs:serviceName": service.name}
    return tags


def _take_over(service: Service, primary: Deployment, former: list[Deployment], now: float) -> None:
    """Let former deployments want fewer tasks as good ones of the newest are there, or as these need room."""
    if not former:
        return
    desired = desired_count(service)
    staying = _staying(service, primary)
    good = sum(1 for task in staying if task.good)
    held = sum(item.wanted for item in former)
    blocked = _blocked(service, desired - len(staying), former, desired)
    fewest = _floor(service, desired) if blocked else desired  # an old one goes before a new one has room
    spare = held - max(0, fewest - good)
    if blocked and spare <= 0 and all(task.good for task in service.live_tasks):
        service.say(
            "was unable to stop or start tasks during a deployment because of the service deployment "
            "configuration. Update the minimumHealthyPercent or maximumPercent value and try again.",
            now,
            every=REPEAT_SECONDS,
        )
    for item in former:
        less = max(0, min(item.wanted, spare))
        item.wanted -= less
        spare -= less


def _blocked(service: Service, missing: int, former: list[Deployment], desired: int) -> bool:
    """Say whether tasks of the newest deployment are missing that there is no room for."""
    awaited = sum(
        max(0, item.wanted - len(_staying(service, item)))
        for item in former
        if item.rollout_state != "FAILED"
    )
    return missing > 0 and len(service.live_tasks) + awaited >= _ceiling(service, desired)


def _floor(service: Service, desired: int) -> int:
    if service.config["schedulingStrategy"] == "DAEMON":
        return 0
    return fewest_healthy(service.config["deploymentConfiguration"], desired)


def _stop(service: Service, tasks: list[Task], lives: TaskLives, now: float) -> None:
    if not tasks or service.primary is None:
        return
    for task in tasks:
        lives.stop(task, REPLACED, f"Scaling activity initiated by (deployment {service.primary.id})")
    service.say(f"has stopped {len(tasks)} running tasks: {_listed(tasks)}.", now)


def _listed(tasks: list[Task]) -> str:
    return " ".join(f"(task {task.id})" for task in tasks)


def _place(service: Service, lives: TaskLives, now: float) -> None:
    """Start the waiting tasks that the cluster has room for."""
    waiting = [task for task in service.tasks if task.stays and not task.placed]
    room = service.cluster.room
    fitting = waiting if room is None else waiting[: max(0, room)]
    for task in fitting:
        lives.place(service, task)
    if fitting:
        service.say(f"has started {len(fitting)} tasks: {_listed(fitting)}.", now)
    if len(fitting) < len(waiting):
        service.say(
            "was unable to place a task because no container instance met all of its requirements. "
            "Reason: the cluster's tag sandbox:max-tasks leaves no room.",
            now,
            every=REPEAT_SECONDS,
        )
