"""What a task definition gives its tasks: CPU, memory and one setting; and a new revision that gives them something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.ecs.reading import read_release
from activities.ecs.registering import check_belongs, check_size, copy_of, images_of, registered_by
from activities.runtime.fence import fenced, sending
from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.plans import PlannedCall
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.release import Release
from runbook_model.sizes import ContainerSize, SizeQuery, TaskSize
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionOutputTypeDef, TaskDefinitionTypeDef

    from activities.aws.clients import AwsClients

VALUE = 40
"""Characters of a setting that are kept; a pool's size needs fewer."""


class RegisterSized(ChangeOrder):
    """Register a copy of what runs, of the same images, that gives its tasks something else."""

    release: Release
    change: TaskChange
    run_id: str
    """Marks the new revision, so that a repeat finds it."""

    @property
    def call(self) -> PlannedCall:
        """The registration."""
        return calls.register(self.release, self.change)


class TaskSizes:
    """Reads what tasks have, and registers what they shall have. Registering alone changes no service."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    @activity.defn
    def read_task_size(self, query: SizeQuery) -> TaskSize:
        """Read CPU, memory and one variable; no other value of the environment leaves this activity."""
        with self._clients.naming_errors(f"describe the task definition {query.task_definition}"):
            found = self._clients.ecs(query.target.account).describe_task_definition(
                taskDefinition=query.task_definition
            )["taskDefinition"]
        return TaskSize(
            task_definition=found.get("taskDefinitionArn", query.task_definition),
            cpu=_number(found.get("cpu")),
            memory=_number(found.get("memory")),
            fargate="FARGATE" in found.get("requiresCompatibilities", []),
            containers=tuple(
                _container(definition, query.variable) for definition in found["containerDefinitions"]
            ),
        )

    @activity.defn
    def register_sized(self, change: RegisterSized) -> Release:
        """Register the copy, once: a repeat finds the revision that it registered."""
        release, ecs = change.release, self._clients.ecs(change.target.account)
        with fenced():
            check_belongs(self._clients, change.target, release.task_definition)
            with self._clients.naming_errors(f"describe the task definition {release.revision}"):
                old = ecs.describe_task_definition(taskDefinition=release.task_definition, include=["TAGS"])
            had = old["taskDefinition"]
            check_size(change.target, change.change, _number(had.get("cpu")), _number(had.get("memory")))
            request: dict[str, Any] = {**copy_of(old, release, change.run_id)}
            _resize(request, old["taskDefinition"], change.change)
            wanted = _shape(request)
            with self._clients.naming_errors(
                f"look for a revision of {request['family']} that this run registered"
            ):
                made = registered_by(
                    ecs, request["family"], change.run_id, lambda definition: _shape(definition) == wanted
                )
            if made:
                return read_release(made, change.target.key, named=release.container)
            with sending(), self._clients.naming_errors(f"register a copy of {release.revision}"):
                new = ecs.register_task_definition(**request)
            return read_release(
                {**old, "taskDefinition": new["taskDefinition"], "tags": []},
                change.target.key,
                named=release.container,
            )


def _container(definition: ContainerDefinitionOutputTypeDef, variable: str | None) -> ContainerSize:
    # What is no number may be a secret: a catalog can name the wrong variable.
    set_to = (
        excerpt(item.get("value", ""), VALUE)
        for item in definition.get("environment", [])
        if item.get("name") == variable
    )
    return ContainerSize(
        name=definition.get("name", ""),
        cpu=definition.get("cpu") or None,
        memory=definition.get("memory"),
        setting=next(set_to, None) if variable else None,
        is_secret=any(item["name"] == variable for item in definition.get("secrets", [])),
    )


def _resize(request: dict[str, Any], old: TaskDefinitionTypeDef, change: TaskChange) -> None:
    """Write the change into a registration; a container that had all of its task's share or limit keeps all of it."""
    for size, wanted, had in (
        ("cpu", change.cpu, _number(old.get("cpu"))),
        ("memory", change.memory, _number(old.get("memory"))),
    ):
        if wanted is None:
            continue
        request[size] = str(wanted)
        for container in request["containerDefinitions"]:
            if had is not None and container.get(size) == had:
                container[size] = wanted
    for container in request["containerDefinitions"]:
        if container["name"] in change.containers:
            others = [
                item for item in container.get("environment", []) if item.get("name") != change.variable
            ]
            container["environment"] = [*others, {"name": change.variable, "value": change.value}]


def _shape(definition: Any) -> object:
    """Return what tells one revision of a run from another: images, sizes, environment."""
    containers = {
        item["name"]: (
            item.get("cpu") or 0,
            item.get("memory"),
            sorted((each["name"], each["value"]) for each in item.get("environment", [])),
        )
        for item in definition["containerDefinitions"]
    }
    task = (_number(definition.get("cpu")), _number(definition.get("memory")))
    return images_of(definition), task, containers


def _number(text: str | None) -> int | None:
    """Read a task's size; ECS tells units and MB, whatever it was registered with."""
    return int(text) if text and text.isdigit() else None
