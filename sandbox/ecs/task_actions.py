"""The actions on tasks."""

from __future__ import annotations

from sandbox.ecs.errors import invalid
from sandbox.ecs.life import TaskLives
from sandbox.ecs.model import Task
from sandbox.ecs.names import Fields, last_part
from sandbox.ecs.paging import page
from sandbox.ecs.store import Store
from sandbox.ecs.wire_tasks import task_fields

MOST_DESCRIBED = 100


class TaskActions:
    """List, describe and stop tasks."""

    def __init__(self, store: Store, lives: TaskLives) -> None:
        self._store = store
        self._lives = lives

    def list(self, parameters: Fields) -> Fields:
        """List a cluster's task ARNs; without a desired status those that are meant to run."""
        cluster = self._store.cluster(parameters.get("cluster"))
        wanted = parameters.get("desiredStatus", "RUNNING")
        service = parameters.get("serviceName")
        name = self._store.service(cluster.name, service).name if service else None
        arns = [
            task.arn
            for task in cluster.tasks.values()
            if task.desired_status == wanted
            and name in {None, task.service}
            and parameters.get("startedBy") in {None, task.started_by}
            and parameters.get("family") in {None, task.deployment.revision.task_definition.family}
            and parameters.get("launchType") in {None, task.deployment.revision.config.get("launchType")}
        ]
        return page(arns, parameters, "taskArns")

    def describe(self, parameters: Fields) -> Fields:
        """Describe up to a hundred tasks; those that do not exist are ``failures``."""
        cluster = self._store.cluster(parameters.get("cluster"))
        wanted = parameters["tasks"]
        if not 1 <= len(wanted) <= MOST_DESCRIBED:
            raise invalid(f"Between 1 and {MOST_DESCRIBED} tasks can be described at once.")
        tags = "TAGS" in parameters.get("include", ())
        found, failures = [], []
        for name in wanted:
            task = self._find(cluster.tasks, name)
            if task is None:
                arn = name if name.startswith("arn:") else self._store.names.task(cluster.name, name)
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(task_fields(self._store.names, cluster, task, tags=tags))
        return {"tasks": found, "failures": failures}

    def stop(self, parameters: Fields) -> Fields:
        """Stop a task; its service replaces it."""
        cluster = self._store.cluster(parameters.get("cluster"))
        task = self._find(cluster.tasks, parameters["task"])
        if task is None:
            raise invalid("The referenced task was not found.")
        self._lives.stop(task, "UserInitiated", parameters.get("reason", "Task stopped by user"))
        return {"task": task_fields(self._store.names, cluster, task)}

    def _find(self, tasks: dict[str, Task], name: str) -> Task | None:
        task = tasks.get(last_part(name))
        return None if task and name.startswith("arn:") and name != task.arn else task
