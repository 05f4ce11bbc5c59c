"""Everything that exists in the simulated account, and how a caller's names find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.ecs.model import Cluster, Service, Task, TaskDefinition
from sandbox.ecs.names import ApiError, Names, client_error, invalid, last_part


def has_revision(name: str) -> bool:
    """Say whether a task definition's name or ARN ends in a revision number."""
    return last_part(name).partition(":")[2].isdigit()


N = TypeVar("N", Service, Task)


def named(known: Mapping[str, N], name_or_arn: str) -> N | None:
    """Find what a name or an ARN means; None for an ARN that is not its own."""
    found = known.get(last_part(name_or_arn))
    return None if found and name_or_arn.startswith("arn:") and name_or_arn != found.arn else found


@dataclass
class Store:
    """One account in one region."""

    names: Names
    digest_of: Callable[[str], str]
    """The digest that an image's name stands for now."""
    clusters: dict[str, Cluster] = field(default_factory=dict)
    families: dict[str, list[TaskDefinition]] = field(default_factory=dict)
    revisions_used: dict[str, int] = field(default_factory=dict)
    """The last revision number of each family; AWS never gives one twice."""

    def cluster(self, name_or_arn: str | None) -> Cluster:
        """Find a cluster; without a name the one called ``default``.

        Raises:
            ApiError: ``ClusterNotFoundException``.
        """
        cluster = self.clusters.get(last_part(name_or_arn or "default"))
        if cluster is None or cluster.status != "ACTIVE":
            raise ApiError("ClusterNotFoundException", "Cluster not found.")
        return cluster

    def service(self, cluster: str | None, name_or_arn: str) -> Service:
        """Find a service, whatever its status.

        Raises:
            ApiError: ``ClusterNotFoundException`` or ``ServiceNotFoundException``.
        """
        service = named(self.cluster(cluster).services, name_or_arn)
        if service is None:
            raise ApiError("ServiceNotFoundException", "Service not found.")
        return service

    def services(self) -> list[Service]:
        """Return every service of every cluster."""
        return [service for cluster in self.clusters.values() for service in cluster.services.values()]

    def task_definition(self, name: str) -> TaskDefinition | None:
        """Find ``family`` (its latest ACTIVE revision), ``family:revision`` or an ARN."""
        family, _, revision = last_part(name).partition(":")
        if name.startswith("arn:") and not name.startswith(self.names.arn("task-definition/")):
            return None
        known = self.families.get(family, [])
        if revision:
            return next((item for item in known if str(item.revision) == revision), None)
        return next((item for item in reversed(known) if item.status == "ACTIVE"), None)

    def deployable(self, name: str) -> TaskDefinition:
        """Find a task definition that may be started.

        Raises:
            ApiError: ``ClientException``: it does not exist, or was deregistered; ``InvalidParameterException``: what
                follows the family is no number.
        """
        if ":" in last_part(name) and not has_revision(name):
            raise invalid(f"Invalid revision number. Number: {last_part(name).partition(':')[2]}")
        found = self.task_definition(name)
        if found is None:
            raise client_error("TaskDefinition not found.")
        if found.status != "ACTIVE":
            raise client_error("TaskDefinition is inactive")
        return found
