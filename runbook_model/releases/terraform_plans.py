"""What Terraform would change. Pure."""

from __future__ import annotations

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact

SENSITIVE, KNOWN_LATER = "(sensitive)", "(known after apply)"
"""Stand for a value."""
TASK_DEFINITION, SERVICE = "aws_ecs_task_definition", "aws_ecs_service"

MOST = 20
"""Of services, task definitions and images that are kept apart."""


class TerraformWish(Fact):
    """A module with values for some of its variables."""

    target: Target
    variables: dict[str, str]


class AttributeChange(Fact):
    """One attribute before and after, as JSON; None where there is none."""

    path: str
    before: str | None
    after: str | None


class ResourceChange(Fact):
    """What Terraform would do to one resource."""

    address: str
    action: str
    """``create``, ``update``, ``replace``, ``delete`` …"""
    attributes: tuple[AttributeChange, ...] = ()


class EcsResource(Fact):
    """A service or a task definition of ECS, as the module has it."""

    address: str
    action: str
    """``no-op`` where it stays as it is."""
    name: str
    """The service's, or the family."""
    cluster: str = ""
    arn: str | None = None
    """Of what is there before."""

    @property
    def summary(self) -> str:
        """What the plan does with it: ``update aws_ecs_service.api (service shop in cluster staging)``."""
        what = f"service {self.name} in cluster {self.cluster}" if self.cluster else f"family {self.name}"
        return f"{self.action} {self.address} ({what})"


class TerraformPlan(Fact):
    """What ``terraform apply`` would do now."""

    directory: str
    variables: dict[str, str]
    workspace: str | None = None
    """The one that was chosen; None for the one that the folder has selected."""
    command: str | None = None
    """How a person applies it, but for the variables."""
    hash: str
    """Names what would change: two plans of one change have one hash, though their files differ."""
    resources: tuple[ResourceChange, ...] = ()
    outputs: tuple[AttributeChange, ...] = ()
    addresses: tuple[str, ...] = ()
    """Of every resource that changes, also of those that are not shown for their number."""
    left_out: int = 0
    """Attributes that are not shown for their number."""
    deregisters: tuple[str, ...] = ()
    """ARNs of ECS task definitions that the AWS provider would deregister."""
    services: tuple[EcsResource, ...] = ()
    """Services of ECS in the module, also those that stay as they are."""
    definitions: tuple[EcsResource, ...] = ()
    """Task definitions of ECS that change."""
    images: tuple[AttributeChange, ...] = ()
    """Images that change, whatever the resource: its address is in the path."""
    empty: bool = False
    from_nothing: bool = False
    """Whether the state holds nothing: the service was made from elsewhere."""
    state: str = ""
    """Names the state that it changes: its backend, key and workspace. Its lock is held while it is changed."""

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        if self.empty:
            return "Terraform has nothing to change"
        wording = (
            ", ".join(f"{resource.action} {resource.address}" for resource in self.resources[:3])
            or "outputs only"
        )
        more = len(self.addresses) - len(self.resources[:3])
        return f"{wording} and {more} more" if more > 0 else wording
