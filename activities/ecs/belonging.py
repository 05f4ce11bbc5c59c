"""What a change of a service may bring: its own earlier releases and sizes that the catalog names, whoever asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.ecs.activities import EcsActivities
from activities.ecs.tasks import describe_service
from runbook_model.capacity import TaskChange
from runbook_model.catalog.catalog import Target
from runbook_model.errors import PolicyError
from runbook_model.release import ServiceState

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients


def check_belongs(
    clients: AwsClients, target: Target, task_definition: str, now: ServiceState | None = None
) -> None:
    """Let a task definition pass that is of the service's family, or that the service ran before.

    Raises:
        PolicyError: it is neither.
    """
    now = now or describe_service(clients, target)
    if _family(task_definition) == _family(now.task_definition):
        return
    ran = EcsActivities(clients).read_history(target).releases.values()
    if task_definition not in {release.task_definition for release in ran}:
        name = task_definition.rpartition("/")[2]
        raise not_allowed(
            f"{name} is no release of {target.key}: it is of another family, and never ran there"
        )


def check_size(target: Target, change: TaskChange, cpu: int | None, memory: int | None) -> None:
    """Let a size pass that the catalog names and that makes nothing smaller.

    Args:
        target: as the worker's catalog has it.
        change: what tasks shall get.
        cpu: CPU units that they have.
        memory: MB that they have.

    Raises:
        PolicyError: it is another.
    """
    pool = target.database.pool if target.database else None
    sizes = ((change.cpu, cpu, target.scale.cpu), (change.memory, memory, target.scale.memory))
    if any(wanted not in {None, has, max(has or 0, most)} for wanted, has, most in sizes):
        raise not_allowed(f"{change.summary} is not what scale.cpu and scale.memory of {target.key} allow")
    setting = (change.variable, change.value)
    if setting != (None, None) and (pool is None or setting != (pool.env, str(pool.size))):
        raise not_allowed(
            f"{change.variable}={change.value} is not the pool that the catalog names for {target.key}"
        )


def not_allowed(why: str) -> PolicyError:
    """Refuse a change that no plan of the product makes: certainly, nothing was sent."""
    error = PolicyError(why, fix="start a procedure with runbook start: it plans what the catalog allows")
    error.certainly_not_made = True
    return error


def _family(task_definition: str) -> str:
    return task_definition.rpartition("/")[2].partition(":")[0]
