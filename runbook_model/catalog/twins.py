"""Two names for one ECS service: each would be locked on its own, and one's rollback would stop the other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runbook_model.catalog.policies import Environment
    from runbook_model.catalog.service_policies import Placement, Service

Place = tuple[str, str, str, str]
"""Account, region, cluster and service, as ECS knows them."""


def twins(environments: Mapping[str, Environment], services: Mapping[str, Service]) -> Iterator[str]:
    """Name each target that is the same ECS service as one before it, across environments too."""
    first: dict[Place, str] = {}
    for name, service in services.items():
        for environment, placement in service.environments.items():
            where = environments.get(environment)
            if where is None or where.platform != "ecs" or not placement.ecs_service:
                continue
            key = f"services.{name}.{environment}"
            other = first.setdefault(_place(where, placement), key)
            if other != key:
                yield (
                    f'{key}.ecs_service = "{placement.ecs_service}": is the same ECS service '
                    f"as {other}: keep one of the two names, or correct region, cluster or ecs_service"
                )


def _place(where: Environment, placement: Placement) -> Place:
    """Say where a service is; an ARN counts as its name, and the worker's own account has no number here."""
    account = where.assume_role.role_arn.split(":")[4] if where.assume_role else ""
    return account, where.region, _name(where.cluster or ""), _name(placement.ecs_service or "")


def _name(written: str) -> str:
    return written.rpartition("/")[2]
