"""The actions on clusters and on tasks."""

from __future__ import annotations

import re

from sandbox.ecs.actions.tagging import read_tags
from sandbox.ecs.answers.services import cluster_fields
from sandbox.ecs.answers.tasks import task_fields
from sandbox.ecs.deployments.life import TaskLives
from sandbox.ecs.errors import ApiError, invalid
from sandbox.ecs.model import Cluster, Task
from sandbox.ecs.names import Fields, last_part
from sandbox.ecs.protocol import page
from sandbox.ecs.store import Store

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


_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")

_SETTINGS = (
    "settings",
    "capacityProviders",
    "defaultCapacityProviderStrategy",
    "configuration",
    "serviceConnectDefaults",
)


class ClusterActions:
    """CreateCluster, DescribeClusters, ListClusters, UpdateCluster and DeleteCluster."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, parameters: Fields) -> Fields:
        """Create a cluster; one of that name that is there already is the answer, as with AWS."""
        name = parameters.get("clusterName", "default")
        if not _NAME.fullmatch(name):
            raise invalid("Identifiers have 1 to 255 letters, numbers, hyphens and underscores.")
        existing = self._store.clusters.get(name)
        if existing is None or existing.status != "ACTIVE":
            settings = {key: parameters[key] for key in _SETTINGS if key in parameters}
            tags = read_tags(parameters.get("tags"))
            existing = Cluster(name, self._store.names.cluster(name), tags, settings)
            self._store.clusters[name] = existing
        return {"cluster": cluster_fields(existing, ("TAGS", "SETTINGS"))}

    def describe(self, parameters: Fields) -> Fields:
        """Describe clusters; those that do not exist are ``failures``."""
        found, failures = [], []
        for name in parameters.get("clusters") or ["default"]:
            cluster = self._store.clusters.get(last_part(name))
            if cluster is None:
                arn = self._store.names.cluster(last_part(name))
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(cluster_fields(cluster, parameters.get("include", ())))
        return {"clusters": found, "failures": failures}

    def list(self, parameters: Fields) -> Fields:
        """List the ARNs of the active clusters."""
        arns = [cluster.arn for cluster in self._store.clusters.values() if cluster.status == "ACTIVE"]
        return page(arns, parameters, "clusterArns")

    def update(self, parameters: Fields) -> Fields:
        """Change a cluster's settings."""
        cluster = self._store.cluster(parameters["cluster"])
        cluster.settings.update({key: parameters[key] for key in _SETTINGS if key in parameters})
        return {"cluster": cluster_fields(cluster, ("SETTINGS",))}

    def delete(self, parameters: Fields) -> Fields:
        """Delete a cluster that nothing lives in."""
        cluster = self._store.cluster(parameters["cluster"])
        if any(service.status == "ACTIVE" for service in cluster.services.values()):
            raise ApiError(
                "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."
            )
        if any(task.live for task in cluster.tasks.values()):
            raise ApiError(
                "ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."
            )
        cluster.status = "INACTIVE"
        return {"cluster": cluster_fields(cluster)}
