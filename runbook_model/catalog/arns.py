"""ARNs of ECS, which may stand in the catalog wherever ECS itself takes one: each is treated as its name."""

from __future__ import annotations

import re

from runbook_model.fact import Fact

SHAPE = re.compile(
    r"arn:aws[\w-]*:ecs:(?P<region>[a-z0-9-]+):\d{12}:(?P<kind>cluster|service)/((?P<cluster>[^/]+)/)?(?P<name>[^/]+)"
)


class EcsName(Fact):
    """A cluster or a service, as the catalog names it."""

    name: str
    kind: str | None = None
    """``cluster`` or ``service``, where an ARN says so."""
    region: str | None = None
    cluster: str | None = None
    """The cluster that a service's ARN names; the oldest ones name none."""


def ecs_name(written: str | None) -> EcsName:
    """Read a name or an ARN; what only starts like an ARN is left as it is."""
    found = SHAPE.fullmatch(written or "")
    return EcsName(**found.groupdict()) if found else EcsName(name=written or "")


def problem_of_arn(key: str, kind: str, written: str | None, region: str, cluster: str = "") -> str | None:
    """Say why an ARN cannot stand at a key: it is none, of something else, or of another place than the environment."""
    found = ecs_name(written)
    shown = f'{key} = "{written}"'
    if found.kind is None:
        arn = (written or "").startswith("arn:")
        return f"{shown} is not the ARN of an ECS {kind}: write its name" if arn else None
    if found.kind != kind:
        return f"{shown} is the ARN of a {found.kind}: write that of the {kind}, or its name"
    if found.region != region:
        return f"{shown} is in {found.region}, but the environment's region is {region}: correct one of them"
    if cluster and found.cluster and found.cluster != cluster:
        return (
            f"{shown} is in cluster {found.cluster}, but the environment's is {cluster}: correct one of them"
        )
    return None
