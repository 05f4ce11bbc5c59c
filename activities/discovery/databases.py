"""Databases that tasks name in their variables: the names of variables and instances, never a value and never a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runbook_model.discovered import Line, Part, Unread

if TYPE_CHECKING:
    from activities.discovery.asking import Asking

ADDRESS = re.compile(
    r"(?P<name>[a-zA-Z][a-zA-Z0-9-]{0,62})\.(?P<cluster>cluster-(?:ro-|custom-)?)?[a-z0-9]+\.[a-z0-9-]+\.rds\.amazonaws\.com"
)
"""The endpoint of an RDS instance or of an Aurora cluster."""
UNKNOWN: dict[str, Part] = {"dsn_env": "…"}
DSN = re.compile(r"^[A-Z_][A-Z0-9_]*$")
"""Names that ``dsn_env`` takes."""
SOUNDS_LIKE_ONE = re.compile(r"(?:^|_)(?:DSN|DB|DATABASE|POSTGRES|POSTGRESQL|PG)(?:_|$)")
IS_AN_ADDRESS = re.compile(r"^[a-z][a-z0-9+]*://")


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
