"""What RegisterTaskDefinition checks, and what it adds to what was given."""

from __future__ import annotations

import re

from sandbox.ecs.errors import client_error
from sandbox.ecs.names import Fields, Names

_CONTAINER_DEFAULTS: tuple[tuple[str, object], ...] = (("cpu", 0), ("essential", True))
_CONTAINER_LISTS = ("portMappings", "environment", "mountPoints", "volumesFrom", "systemControls")


def registered_fields(parameters: Fields, names: Names) -> Fields:
    """Return the members of a new revision as DescribeTaskDefinition shows them.

    Raises:
        ApiError: ``ClientException``: AWS would not accept it.
    """
    own_address = parameters.get("networkMode") in {"awsvpc", "host"}
    containers = [
        _container_fields(definition, same_port=own_address)
        for definition in parameters["containerDefinitions"]
    ]
    fields = {key: value for key, value in parameters.items() if key not in {"tags", "family"}}
    for size, scale in (("cpu", "vcpu"), ("memory", "gb")):
        if size in fields:
            fields[size] = _units(fields[size], scale)
    _check(fields, containers)
    return fields | {
        "containerDefinitions": containers,
        "volumes": fields.get("volumes", []),
        "placementConstraints": fields.get("placementConstraints", []),
        "compatibilities": sorted({"EC2", *fields.get("requiresCompatibilities", [])}),
        "requiresAttributes": [],
        "registeredBy": names.root(),
    }


def _container_fields(given: Fields, *, same_port: bool) -> Fields:
    container: Fields = dict(_CONTAINER_DEFAULTS) | given
    for name in _CONTAINER_LISTS:
        container[name] = [dict(item) for item in given.get(name, [])]
    for mapping in container["portMappings"]:
        mapping.setdefault("protocol", "tcp")
        mapping.setdefault("hostPort", mapping.get("containerPort", 0) if same_port else 0)
    return container


def _units(value: str, scale: str) -> str:
    """Return CPU units or MiB: AWS takes ``1 vCPU`` and ``2 GB`` as well."""
    found = re.fullmatch(r"([\d.]+)\s*([A-Za-z]*)", value.strip())
    amount, unit = found.groups() if found else ("", "")
    if unit.lower() == scale:
        return str(int(float(amount) * 1024))
    if unit or not amount.isdigit():
        raise client_error(f"Invalid 'cpu' or 'memory' setting for task: {value}")
    return amount


def _check(fields: Fields, containers: list[Fields]) -> None:
    if not containers:
        raise client_error("Container list cannot be empty.")
    names = [container.get("name", "") for container in containers]
    if not all(names) or len(set(names)) < len(names):
        raise client_error("Container names must be given and must differ.")
    if not any(container["essential"] for container in containers):
        raise client_error("A Task definition must have at least one essential container.")
    for container in containers:
        if not container.get("image"):
            raise client_error("Container.image should not be null or empty.")
        if not {"memory", "memoryReservation"} & container.keys() and "memory" not in fields:
            raise client_error(
                f"Invalid setting for container '{container['name']}'. "
                "At least one of 'memory' or 'memoryReservation' must be specified."
            )
    if "FARGATE" in fields.get("requiresCompatibilities", []) and not {"cpu", "memory"} <= fields.keys():
        raise client_error("Fargate requires task definition to have memory and cpu at task-level.")
