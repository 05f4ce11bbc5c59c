"""The service scheduler: which tasks to start and to stop now, within minimum and maximum percent."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.ecs.life import REPLACED, TaskLives
from sandbox.ecs.model import Deployment, Service, Task, fewest_healthy, most_tasks
from sandbox.ecs.wire import desired_count

REPEAT_SECONDS = 5.0
"""An event that says why nothing moves comes no more often than this."""


def schedule(service: Service, lives: TaskLives, now: float) -> None:
    """Bring a service's tasks closer to what its newest deployment wants."""
    primary = service.primary
    if primary is None:
        return
    if primary.rollout_state != "FAILED":  # a failed deployment starts nothing and replaces nothing
        _start_missing(service, primary, lives, now)
        _stop_replaced(service, primary, lives, now)
    _stop_surplus(service, primary, lives, now)
    _place(service, lives, now)


def schedule_each(service: Service, wanted: Mapping[Deployment, int], lives: TaskLives, now: float) -> None:
    """Bring each deployment's tasks to its own count, as where two revisions run until traffic is shifted."""
    for deployment, count in wanted.items():
        staying = sorted(_staying(service, deployment), key=lambda task: (task.good, task.placed))
        if now >= deployment.next_start:
            for _ in range(count - len(staying)):
                lives.provision(service, deployment, task_tags(service, deployment))
        _stop(service, deployment, staying[: max(0, len(staying) - count)], lives, now)
    _place(service, lives, now)


def _start_missing(service: Service, primary: Deployment, lives: TaskLives, now: float) -> None:
    desired = desired_count(service)
    missing = desired - len(_staying(service, primary))
    room = _ceiling(service, desired) - len(service.live_tasks)
    if missing <= 0 or now < primary.next_start:
        return
    for _ in range(min(missing, room)):
        lives.provision(service, primary, task_tags(service, primary))


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


def _stop_replaced(service: Service, primary: Deployment, lives: TaskLives, now: float) -> None:
    """Stop tasks of former deployments: the useless at once, the good ones as new ones take over."""
    former = [task for task in service.tasks if task.stays and task.deployment is not primary]
    if not former:
        return
    desired = desired_count(service)
    good = [task for task in service.tasks if task.good]
    spare = len(good) - desired
    if _blocked(service, primary, desired):  # no room for a new task before an old one goes
        spare = len(good) - _floor(service, desired)
    useless = [task for task in former if not task.good]
    replaced = useless + [task for task in former if task.good][: max(0, spare)]
    if not replaced and _blocked(service, primary, desired) and len(service.live_tasks) == len(good):
        service.say(
            "was unable to stop or start tasks during a deployment because of the service deployment "
            "configuration. Update the minimumHealthyPercent or maximumPercent value and try again.",
            now,
            every=REPEAT_SECONDS,
        )
    _stop(service, primary, replaced, lives, now)


def _floor(service: Service, desired: int) -> int:
    if service.config["schedulingStrategy"] == "DAEMON":
        return 0
    return fewest_healthy(service.config["deploymentConfiguration"], desired)


def _blocked(service: Service, primary: Deployment, desired: int) -> bool:
    missing = desired > len(_staying(service, primary))
    return missing and len(service.live_tasks) >= _ceiling(service, desired)


def _stop_surplus(service: Service, primary: Deployment, lives: TaskLives, now: float) -> None:
    """Stop what a lower desired count no longer wants, those that do not serve first."""
    staying = sorted(_staying(service, primary), key=lambda task: (task.good, task.placed))
    surplus = len(staying) - desired_count(service)
    _stop(service, primary, staying[: max(0, surplus)], lives, now)


def _stop(service: Service, primary: Deployment, tasks: list[Task], lives: TaskLives, now: float) -> None:
    if not tasks:
        return
    for task in tasks:
        lives.stop(task, REPLACED, f"Scaling activity initiated by (deployment {primary.id})")
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
