"""The actions on clusters."""

from __future__ import annotations

import re

from sandbox.ecs.errors import ApiError, invalid
from sandbox.ecs.model import Cluster
from sandbox.ecs.names import Fields, last_part
from sandbox.ecs.paging import page
from sandbox.ecs.store import Store
from sandbox.ecs.tagging import read_tags
from sandbox.ecs.wire import cluster_fields

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
