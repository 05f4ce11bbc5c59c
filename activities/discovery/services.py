"""The lines of one service: container, address, log group, numbers of tasks, database, owner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from activities.ecs.reading import app_container, balanced_containers
from runbook_model.discovered import Line, Part, Unread
from runbook_model.text.sentences import count_of

if TYPE_CHECKING:
    from activities.discovery.asking import Asking
    from activities.discovery.balancing import Balancing

DEFAULTS: dict[str, Part] = {"min": 1, "max": 10}
"""What counts where the catalog says nothing of ``scale``."""

OWNERS = {"aws:cloudformation:stack-name": "CloudFormation's stack"}
"""Tags that name what a service is made by."""

ADDRESS = re.compile(
    r"(?P<name>[a-zA-Z][a-zA-Z0-9-]{0,62})\.(?P<cluster>cluster-(?:ro-|custom-)?)?[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com"
)
"""The endpoint of an RDS instance or of an Aurora cluster."""
UNKNOWN: dict[str, Part] = {"dsn_env": "…"}
DSN = re.compile(r"^[A-Z_][A-Z0-9_]*$")
"""Names that ``dsn_env`` takes."""
SOUNDS_LIKE_ONE = re.compile(r"(?:^|_)(?:DSN|DB|DATABASE|POSTGRES|POSTGRESQL|PG)(?:_|$)")
IS_AN_ADDRESS = re.compile(r"^[a-z][a-z0-9+]*://")


class ServiceLines:
    """What was read around services, and what it says of each."""

    def __init__(
        self,
        region: str,
        definitions: Mapping[str, dict[str, Any] | Unread],
        balancing: Balancing,
        log_groups: set[str] | Unread,
        scaling: list[dict[str, Any]] | Unread,
        databases: Databases,
    ) -> None:
        self._region = region
        self._definitions = definitions
        self._balancing = balancing
        self._log_groups = log_groups
        self._scaling = scaling
        self._databases = databases

    def about(self, service: dict[str, Any]) -> str:
        """Say what a service is: tasks, family, image."""
        said = count_of(service["desiredCount"], "task") + " desired"
        definition = self._definition(service)
        if isinstance(definition, Unread):
            return f"{said}; its task definition was {definition.comment}"
        app = _app(service, definition)
        images = [item["image"] for item in definition["containerDefinitions"] if item["name"] == app]
        return f"{said}, family {definition['family']}{''.join(f', image {image}' for image in images)}"

    def of(self, cluster: str, service: dict[str, Any]) -> Iterator[Line]:
        """Return the lines of its table, found or only proposed."""
        definition = self._definition(service)
        if isinstance(definition, Unread):
            for key in ("container", "log_group", "database"):
                yield Line(key=key, comment=definition.comment, found=False)
            yield from self._balancing.lines(service)
        else:
            app = _app(service, definition)
            yield _container(service, definition, app)
            yield from self._balancing.lines(service)
            yield self._log_group(definition, app)
            yield self._databases.line(definition, app)
        yield self._scale(cluster, service)
        yield _terraform(service)

    def _definition(self, service: dict[str, Any]) -> dict[str, Any] | Unread:
        name = service.get("taskDefinition")
        nothing = Unread(
            action="ecs:DescribeTaskDefinition", why="the service itself names no task definition"
        )
        return self._definitions.get(name, nothing) if name else nothing

    def _log_group(self, definition: dict[str, Any], app: str | None) -> Line:
        found = next((item for item in definition["containerDefinitions"] if item["name"] == app), None)
        if found is None:
            return Line(
                key="log_group", comment="not found: which container is the app is not known", found=False
            )
        logs = found.get("logConfiguration", {})
        options = logs.get("options", {})
        group = options.get("awslogs-group")
        if logs.get("logDriver") != "awslogs" or not group:
            driver = logs.get("logDriver", "no driver")
            comment = f"not found: container {app} logs by {driver}, which names no group of CloudWatch"
            return Line(key="log_group", comment=comment, found=False)
        region = options.get("awslogs-region", self._region)
        if region != self._region:
            comment = (
                f"awslogs-group of container {app}, but in {region}: logs are read in {self._region} only"
            )
            return Line(key="log_group", value=group, comment=comment, found=False)
        if isinstance(self._log_groups, Unread):
            there = f"whether it exists was {self._log_groups.comment}"
        else:
            there = "it exists" if group in self._log_groups else "there is no such group yet"
        return Line(key="log_group", value=group, comment=f"awslogs-group of container {app}; {there}")

    def _scale(self, cluster: str, service: dict[str, Any]) -> Line:
        desired = f"{count_of(service['desiredCount'], 'task')} desired now"
        if isinstance(self._scaling, Unread):
            return Line(
                key="scale", value=None, comment=f"autoscaling was {self._scaling.comment}", found=False
            )
        wanted = f"service/{cluster}/{service['serviceName']}"
        for target in self._scaling:
            if target["ResourceId"] == wanted:
                bounds = {"min": max(1, target["MinCapacity"]), "max": max(1, target["MaxCapacity"])}
                return Line(
                    key="scale", value=bounds, comment=f"minimum and maximum of its autoscaling; {desired}"
                )
        comment = f"no autoscaling found: the defaults count; {desired}"
        return Line(key="scale", value=DEFAULTS, comment=comment, found=False)


def _app(service: dict[str, Any], definition: dict[str, Any]) -> str | None:
    balanced = balanced_containers(service.get("loadBalancers", []))
    return app_container(definition, None, balanced)  # type: ignore[arg-type]  # DescribeTaskDefinition's own answer


def _container(service: dict[str, Any], definition: dict[str, Any], app: str | None) -> Line:
    names = [item["name"] for item in definition["containerDefinitions"]]
    if app is None:
        comment = f"not found: which of {', '.join(names)} is the app, whose image is the release?"
        return Line(key="container", comment=comment, found=False)
    balanced = app in balanced_containers(service.get("loadBalancers", []))
    why = (
        "the only one"
        if len(names) == 1
        else "behind the load balancer"
        if balanced
        else "the only essential one"
    )
    return Line(key="container", value=app, comment=f"container of {definition['family']}: {why}")


def _terraform(service: dict[str, Any]) -> Line:
    owner = ""
    for tag in service.get("tags", []):
        key, value = tag.get("key", ""), tag.get("value", "")
        if "terraform" in f"{key}={value}".lower():
            owner = f"its tag {key}={value} says that Terraform owns it: name the module, or its next apply undoes a rollback"
        elif key in OWNERS:
            owner = f"its tag says that {OWNERS[key]} {value} owns it, which does not know of a rollback"
    proposal: dict[str, Part] = {"directory": "…", "image_variable": "image_tag"}
    return Line(
        key="terraform",
        value=proposal,
        comment=owner or "not found: AWS does not know which module owns the service, if one does",
        found=False,
    )


class Variable(NamedTuple):
    """A variable of a container that names a database."""

    name: str
    instance: str | None
    """The first part of the endpoint; None where its value is a secret."""
    is_cluster: bool = False
    is_dsn: bool = False


class Databases:
    """The RDS instances of the account, by name; nothing where no task names one."""

    def __init__(self, instances: Mapping[str, dict[str, Any]] | Unread) -> None:
        self._instances = instances

    @classmethod
    def read(cls, asking: Asking, definitions: Iterable[list[Any] | Unread]) -> Databases:
        """Read the instances, where a task names an endpoint."""
        named = any(
            variable.instance
            for found in definitions
            if not isinstance(found, Unread)
            for container in found[0]["taskDefinition"]["containerDefinitions"]
            for variable in _variables(container)
        )
        if not named:
            return cls({})
        instances = asking.listed("rds", "describe_db_instances", "DBInstances")
        if isinstance(instances, Unread):
            return cls(instances)
        return cls({item["DBInstanceIdentifier"]: item for item in instances})

    def line(self, definition: dict[str, Any], app: str | None) -> Line:
        """Propose the database of a service."""
        containers = sorted(definition["containerDefinitions"], key=lambda item: item["name"] != app)
        found = [(item["name"], variable) for item in containers for variable in _variables(item)]
        # What names an endpoint says more than a name that sounds like a database, and a DSN more than a host.
        found.sort(key=lambda item: (item[1].instance is None, not item[1].is_dsn))
        if not found:
            return Line(
                key="database",
                value=dict(UNKNOWN),
                comment="not found: no variable of its tasks names a database",
                found=False,
            )
        container, variable = found[0]
        usable = variable.is_dsn and DSN.match(variable.name)
        value = dict(UNKNOWN) | ({"dsn_env": variable.name} if usable else {})
        said = f"variable {variable.name} of container {container}"
        if variable.instance is None:
            said += ", whose value is a secret and was not read"
        else:
            said += f" names {self._describe(variable, value)}"
        comment = f"{said}; give the worker a DSN of its own in the variable dsn_env"
        return Line(key="database", value=value, comment=comment, found=False)

    def _describe(self, variable: Variable, value: dict[str, Part]) -> str:
        """Say what is known of the database, and add its instance to the proposal where it may be rebooted."""
        name = str(variable.instance)
        if isinstance(self._instances, Unread):
            return f"{name}, which was {self._instances.comment}"
        if variable.is_cluster:
            return f"the Aurora cluster {name}"
        instance = self._instances.get(name)
        if instance is None:
            return f"{name}, which RDS does not have here"
        engine = instance.get("Engine", "")
        if "postgres" not in engine:
            return f"the RDS instance {name} ({engine}: only PostgreSQL is supported)"
        value["rds_instance"] = name
        return f"the RDS instance {name} ({engine})"


def _variables(container: dict[str, Any]) -> Iterator[Variable]:
    for item in container.get("environment", []):
        if address := ADDRESS.search(item.get("value", "")):
            is_dsn = bool(IS_AN_ADDRESS.match(item["value"]))
            yield Variable(item["name"], address["name"], bool(address["cluster"]), is_dsn)
    for item in container.get("secrets", []):
        if SOUNDS_LIKE_ONE.search(item["name"].upper()):
            is_dsn = bool(re.search(r"DSN|UR[IL]$", item["name"].upper()))
            yield Variable(item["name"], None, is_dsn=is_dsn)
