"""The actions on task definitions, and what registering one checks and adds."""

from __future__ import annotations

import re
import time

from sandbox.ecs.actions.tagging import read_tags
from sandbox.ecs.answers.services import tag_list, task_definition_fields
from sandbox.ecs.model import TaskDefinition
from sandbox.ecs.names import NAME, Fields, Names, client_error, invalid, last_part
from sandbox.ecs.protocol import page
from sandbox.ecs.store import Store, has_revision

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
    if not all(names):
        raise client_error("Container.name should not be null or empty.")
    if len(set(names)) < len(names):
        raise client_error("Container names must differ.")
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
    if "FARGATE" in fields.get("requiresCompatibilities", []):
        _check_fargate(fields)


def _check_fargate(fields: Fields) -> None:
    if not {"cpu", "memory"} <= fields.keys():
        raise client_error("Fargate requires task definition to have memory and cpu at task-level.")
    if fields.get("pidMode", "task") != "task":
        raise client_error(
            f"Tasks using the Fargate launch type do not support pidMode '{fields['pidMode']}'. "
            "The supported value for pidMode is 'task'."
        )


class TaskDefinitionActions:
    """Register, deregister, delete, describe and list task definitions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, parameters: Fields) -> Fields:
        """Register the next revision of a family."""
        family = parameters["family"]
        if not NAME.fullmatch(family):
            raise client_error("Family contains invalid characters or has more than 255 of them.")
        tags = read_tags(parameters.get("tags"))
        fields = registered_fields(parameters, self._store.names)
        revision = self._store.revisions_used.get(family, 0) + 1
        self._store.revisions_used[family] = revision
        arn = self._store.names.task_definition(family, revision)
        definition = TaskDefinition(family, revision, arn, fields, tags, time.time())
        self._store.families.setdefault(family, []).append(definition)
        return {"taskDefinition": task_definition_fields(definition), "tags": tag_list(tags)}

    def describe(self, parameters: Fields) -> Fields:
        """Describe a revision, INACTIVE ones too; a family alone means its latest ACTIVE revision."""
        definition = self._store.task_definition(parameters["taskDefinition"])
        if definition is None:
            raise client_error("Unable to describe task definition.")
        answer: Fields = {"taskDefinition": task_definition_fields(definition)}
        if "TAGS" in parameters.get("include", ()):
            answer["tags"] = tag_list(definition.tags)
        return answer

    def deregister(self, parameters: Fields) -> Fields:
        """Make a revision INACTIVE; what runs on it continues, and its tags stay."""
        name = parameters["taskDefinition"]
        if ":" not in last_part(name):
            raise client_error("Revision is missing.")
        if not has_revision(name):
            raise client_error(f"Invalid revision number. Number: {last_part(name).partition(':')[2]}")
        definition = self._store.task_definition(name)
        if definition is None:
            raise client_error("Unable to describe task definition.")
        if definition.status == "ACTIVE":
            definition.status = "INACTIVE"
            definition.deregistered_at = time.time()
        return {"taskDefinition": task_definition_fields(definition)}

    def delete(self, parameters: Fields) -> Fields:
        """Begin to delete INACTIVE revisions."""
        deleted, failures = [], []
        names = parameters["taskDefinitions"]
        if not 1 <= len(names) <= 10:
            raise invalid("Between 1 and 10 task definitions can be deleted at once.")
        for name in names:
            definition = self._store.task_definition(name)
            if not has_revision(name):
                reason = "The specified task definition identifier is invalid. Specify a valid name or ARN and try again."
                failures.append({"arn": name, "reason": reason})
            elif definition is None:
                reason = "The specified task definition does not exist. Specify a valid account, family, revision and try again."
                failures.append({"arn": name, "reason": reason})
            elif definition.status == "ACTIVE":
                reason = "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
                failures.append({"arn": definition.arn, "reason": reason})
            else:
                definition.status = "DELETE_IN_PROGRESS"
                definition.delete_requested_at = definition.delete_requested_at or time.time()
                deleted.append(task_definition_fields(definition))
        return {"taskDefinitions": deleted, "failures": failures}

    def list(self, parameters: Fields) -> Fields:
        """List revisions of one status, ordered by family and revision."""
        family, status = parameters.get("familyPrefix"), parameters.get("status", "ACTIVE")
        found = [
            item
            for name in sorted(self._store.families)
            if family is None or name == family
            for item in self._store.families[name]
            if item.status == status
        ]
        if parameters.get("sort") == "DESC":
            found.reverse()
        return page([item.arn for item in found], parameters, "taskDefinitionArns")

    def list_families(self, parameters: Fields) -> Fields:
        """List families; an INACTIVE family has no ACTIVE revision."""
        prefix, status = parameters.get("familyPrefix", ""), parameters.get("status", "ACTIVE")
        found = []
        for family in sorted(self._store.families):
            active = any(item.status == "ACTIVE" for item in self._store.families[family])
            if family.startswith(prefix) and (status == "ALL" or active == (status == "ACTIVE")):
                found.append(family)
        return page(found, parameters, "families")
