"""Reads an account: its clusters and services, and of each service what its catalog table needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from activities.discovery.asking import Asking, batches
from activities.discovery.balancing import Balancing
from activities.discovery.services import Databases, ServiceLines
from activities.ecs.reading import read_service_state
from runbook_model.catalog.accounts import ecs_name, problem_of_arn
from runbook_model.discovered import FoundCluster, FoundService, Unread
from runbook_model.errors import InputError
from runbook_model.text.sentences import count_of

SERVICES_OF_ONE_PAGE = 100
SERVICES_OF_ONE_CALL = 10
CLUSTERS_OF_ONE_CALL = 100
LOG_GROUPS_OF_ONE_CALL = 50
NOT_ANSWERED = "check the network, AWS_REGION and AWS_ENDPOINT_URL, and try again"
DESIRED_COUNT = "ecs:service:DesiredCount"


def read_caller(asking: Asking) -> str:
    """Say who asks, and of which account."""
    identity = asking.pages("sts", "get_caller_identity")
    if isinstance(identity, Unread):
        return f"an account that is not known ({identity.comment})"
    return f"account {identity[0]['Account']}, as {identity[0]['Arn']}"


def read_workspaces(asking: Asking) -> tuple[str, ...] | Unread:
    """Return the addresses of the account's workspaces of Amazon Managed Prometheus."""
    found = asking.listed("amp", "list_workspaces", "workspaces")
    if isinstance(found, Unread):
        return found
    host = f"https://aps-workspaces.{asking.region}.amazonaws.com"
    return tuple(sorted(f"{host}/workspaces/{workspace['workspaceId']}" for workspace in found))


def read_clusters(asking: Asking, wanted: Sequence[str]) -> tuple[FoundCluster, ...]:
    """Read clusters, all of the region or those that are named, with everything that is known of their services.

    Raises:
        InputError: there is none, or none is named and AWS lists none.
        CredentialsError: nobody would be answered.
    """
    clusters = _clusters(asking, wanted)
    listed = dict(
        zip(
            clusters,
            asking.each("clusters", lambda name: _list_services(asking, name), clusters),
            strict=True,
        )
    )
    described = _describe(asking, listed)
    lines = _read_around(
        asking,
        [
            service
            for services in described.values()
            for service in services.values()
            if not isinstance(service, Unread)
        ],
    )
    return tuple(
        FoundCluster(
            name=name,
            comment=f"{said}; {arns.comment if isinstance(arns, Unread) else count_of(len(arns), 'service')}",
            empty=arns == [],
            services=tuple(
                _service(name, service, found, lines) for service, found in sorted(described[name].items())
            ),
        )
        for (name, said), arns in zip(clusters.items(), listed.values(), strict=True)
    )


def _clusters(asking: Asking, wanted: Sequence[str]) -> dict[str, str]:
    """Return what is said of each cluster, by its name."""
    where = "given by --cluster" if wanted else "found by ecs:ListClusters"
    for name in wanted:
        if problem := problem_of_arn("--cluster", "cluster", name, asking.region):
            raise InputError(problem)
    names: list[str] | Unread = [ecs_name(name).name for name in wanted]
    if not wanted:
        names = asking.listed("ecs", "list_clusters", "clusterArns")
    if isinstance(names, Unread):
        raise InputError(
            f"which clusters there are was {names.comment}",
            fix="name some with --cluster, or allow it" if names.denied else NOT_ANSWERED,
        )
    names = sorted({_last_part(name) for name in names})
    if not names:
        raise InputError(
            f"there is no ECS cluster in {asking.region}", fix="set AWS_REGION or AWS_PROFILE to another"
        )
    found: dict[str, str] = {}
    for batch in batches(names, CLUSTERS_OF_ONE_CALL):
        described = asking.listed("ecs", "describe_clusters", "clusters", clusters=list(batch))
        if isinstance(described, Unread):
            if not described.denied:
                raise InputError(f"the clusters were {described.comment}", fix=NOT_ANSWERED)
            found |= dict.fromkeys(batch, f"{where}; its status was {described.comment}")
            continue
        status = {cluster["clusterName"]: cluster["status"] for cluster in described}
        missing = [name for name in batch if status.get(name, "INACTIVE") == "INACTIVE"]
        if missing:
            raise InputError(
                f"there is no ECS cluster {', '.join(missing)} in {asking.region}", fix="correct --cluster"
            )
        found |= {name: f"{where}; {status[name]}" for name in batch}
    return found


def _list_services(asking: Asking, cluster: str) -> list[str] | Unread:
    return asking.listed(
        "ecs",
        "list_services",
        "serviceArns",
        of=cluster,
        cluster=cluster,
        PaginationConfig={"PageSize": SERVICES_OF_ONE_PAGE},
    )


def _describe(
    asking: Asking, listed: dict[str, list[str] | Unread]
) -> dict[str, dict[str, dict[str, Any] | Unread]]:
    """Describe the services of each cluster, by name; those that are gone by now are left out."""
    wanted = [
        (cluster, [_last_part(arn) for arn in batch])
        for cluster, arns in listed.items()
        if not isinstance(arns, Unread)
        for batch in batches(sorted(arns), SERVICES_OF_ONE_CALL)
    ]
    answers = asking.each(
        "services, ten at a time",
        lambda item: asking.listed(
            "ecs",
            "describe_services",
            "services",
            of=item[0],
            cluster=item[0],
            services=item[1],
            include=["TAGS"],
        ),
        wanted,
    )
    found: dict[str, dict[str, dict[str, Any] | Unread]] = {name: {} for name in listed}
    for (cluster, names), services in zip(wanted, answers, strict=True):
        if isinstance(services, Unread):
            found[cluster] |= dict.fromkeys(names, services)
        else:
            found[cluster] |= {service["serviceName"]: service for service in services}
    return found


def _read_around(asking: Asking, services: Sequence[dict[str, Any]]) -> ServiceLines:
    """Read what services are made of and stand behind: task definitions, load balancers, log groups, databases."""
    names = sorted({name for service in services if (name := service.get("taskDefinition"))})
    definitions = dict(
        zip(
            names,
            asking.each(
                "task definitions",
                lambda name: asking.pages("ecs", "describe_task_definition", taskDefinition=name),
                names,
            ),
            strict=True,
        )
    )
    groups = {
        balancer["targetGroupArn"]
        for service in services
        for balancer in service.get("loadBalancers", [])
        if "targetGroupArn" in balancer
    }
    return ServiceLines(
        asking.region,
        {
            name: found if isinstance(found, Unread) else found[0]["taskDefinition"]
            for name, found in definitions.items()
        },
        Balancing.read(asking, groups),
        _log_groups(asking, definitions.values()),
        _scaling(asking) if services else [],
        Databases.read(asking, definitions.values()),
    )


def _log_groups(asking: Asking, definitions: Iterable[list[Any] | Unread]) -> set[str] | Unread:
    """Return which log groups of the tasks exist."""
    options = (
        container.get("logConfiguration", {}).get("options", {})
        for found in definitions
        if not isinstance(found, Unread)
        for container in found[0]["taskDefinition"]["containerDefinitions"]
    )
    names = sorted({name for option in options if (name := option.get("awslogs-group"))})
    answers = asking.each(
        "log groups",
        lambda batch: asking.listed(
            "logs", "describe_log_groups", "logGroups", logGroupIdentifiers=list(batch)
        ),
        batches(names, LOG_GROUPS_OF_ONE_CALL),
    )
    found: set[str] = set()
    for groups in answers:
        if isinstance(groups, Unread):
            return groups
        found |= {group["logGroupName"] for group in groups}
    return found


def _scaling(asking: Asking) -> list[dict[str, Any]] | Unread:
    return asking.listed(
        "application-autoscaling",
        "describe_scalable_targets",
        "ScalableTargets",
        ServiceNamespace="ecs",
        ScalableDimension=DESIRED_COUNT,
    )


def _service(cluster: str, name: str, found: dict[str, Any] | Unread, lines: ServiceLines) -> FoundService:
    if isinstance(found, Unread):
        return FoundService(name=name, comment=found.comment)
    return FoundService(
        name=name,
        state=read_service_state(found),  # type: ignore[arg-type]  # DescribeServices' own answer
        comment=lines.about(found),
        lines=tuple(lines.of(cluster, found)),
    )


def _last_part(arn: str) -> str:
    return arn.rpartition("/")[2]
