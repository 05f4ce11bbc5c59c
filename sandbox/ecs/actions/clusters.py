"""The actions on clusters and on tasks."""

from __future__ import annotations

from sandbox.ecs.actions.tagging import read_tags
from sandbox.ecs.answers.services import cluster_fields
from sandbox.ecs.answers.tasks import task_fields
from sandbox.ecs.deployments.life import TaskLives
from sandbox.ecs.model import Cluster
from sandbox.ecs.names import NAME, ApiError, Fields, invalid, last_part
from sandbox.ecs.protocol import described, page
from sandbox.ecs.store import Store, named

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
        names = self._store.names
        return described(
            "tasks",
            wanted,
            lambda name: named(cluster.tasks, name),
            lambda task: task_fields(names, cluster, task, tags=tags),
            lambda name: names.task(cluster.name, name),
        )

    def stop(self, parameters: Fields) -> Fields:
        """Stop a task; its service replaces it."""
        cluster = self._store.cluster(parameters.get("cluster"))
        task = named(cluster.tasks, parameters["task"])
        if task is None:
            raise invalid("The referenced task was not found.")
        self._lives.stop(task, "UserInitiated", parameters.get("reason", "Task stopped by user"))
        return {"task": task_fields(self._store.names, cluster, task)}


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
        if not NAME.fullmatch(name):
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
        names = map(last_part, parameters.get("clusters") or ["default"])
        return described(
            "clusters",
            names,
            self._store.clusters.get,
            lambda cluster: cluster_fields(cluster, parameters.get("include", ())),
            self._store.names.cluster,
        )

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
