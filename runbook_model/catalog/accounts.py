"""Whose AWS an environment runs in: the region, the role that the worker takes on there, and ARNs of ECS in place of names."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from runbook_model.fact import Fact
from runbook_model.text.durations import Duration

SHORTEST, LONGEST = timedelta(minutes=15), timedelta(hours=12)
"""What STS allows."""

SESSION_NAME_LENGTH = 64

AssumedRole = Annotated[
    str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]+$")
]


class AssumeRole(BaseModel):
    """The role of an environment, taken on for short sessions."""

    model_config = ConfigDict(frozen=True)

    role_arn: AssumedRole = Field(description="The role that the worker's own identity may assume.")
    external_id_env: str | None = Field(
        default=None,
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="Name of the variable that holds the external id, where the role's trust policy asks for one.",
    )
    session: Annotated[Duration, Field(ge=SHORTEST, le=LONGEST)] = Field(
        default=SHORTEST, description="How long one session lasts; it is renewed before it ends."
    )


class Account(BaseModel):
    """Where calls of AWS go, and as whom they are made."""

    model_config = ConfigDict(frozen=True)

    region: str
    role: AssumeRole | None = None
    """None: the worker's own identity."""
    environment: str = ""
    """Whose role it is: CloudTrail shows it in the session's name. Empty without a role."""

    @property
    def quota(self) -> tuple[str, str]:
        """What AWS counts calls by: account and region; the worker's own account has no number here."""
        return (self.role.role_arn.split(":")[4] if self.role else "", self.region)

    @property
    def session_name(self) -> str:
        """What the role's sessions are called."""
        return f"runbook-{self.environment}"[:SESSION_NAME_LENGTH]


def account_of(environment: str, region: str, role: AssumeRole | None) -> Account:
    """Say where an environment's calls go; without a role, environments of one region share their clients."""
    return Account(region=region, role=role, environment=environment if role else "")


ECS_ARN = re.compile(
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
    found = ECS_ARN.fullmatch(written or "")
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
