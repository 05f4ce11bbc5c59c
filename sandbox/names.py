"""The fixed names of the sandbox's world: environments, clusters, services, families, log groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

REGION = "us-east-1"
ACCOUNT = "123456789012"
SERVICE = "ai-processor"
CONTAINER = "app"
FIRST_VERSION = "1.0.0"
TOKEN = "RUNBOOK_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
_ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
SANDBOX_USER_AGENT = "sandbox-internal"
"""Marks the sandbox's own AWS calls; they stay out of the call log."""


@dataclass(frozen=True)
class EcsEnvironment:
    """One environment on the simulated ECS, with every name that follows from its own."""

    name: str
    circuit_breaker: bool
    variant: str = ""
    """Another service than the usual one: its name in the catalog, and a part of all its names."""

    @property
    def service(self) -> str:
        """The service's name in the catalog."""
        return self.variant or SERVICE

    @property
    def cluster(self) -> str:
        """The ECS cluster."""
        return f"{SERVICE}-{self.name}"

    @property
    def ecs_service(self) -> str:
        """The ECS service."""
        return f"{SERVICE}-service-{self.variant or self.name}"

    @property
    def family(self) -> str:
        """The task definition family."""
        return f"{SERVICE}-{self.variant}-{self.name}" if self.variant else f"{SERVICE}-{self.name}"

    @property
    def log_group(self) -> str:
        """The CloudWatch log group of the tasks' output."""
        return f"/ecs/{self.family}"

    @property
    def execution_role(self) -> str:
        """The ARN of the role by which ECS pulls the tasks' image and writes their log."""
        return f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-{self.name}-execution"

    @property
    def target_group(self) -> str:
        """The ARN under which ECS knows the service's load balancer."""
        return f"{_ELB}:targetgroup/{self.family}/5a11db0c5a11db0c"

    @property
    def alternate_target_group(self) -> str:
        """The ARN of the group that every other release is in, where traffic is shifted."""
        return f"{_ELB}:targetgroup/{self.family}-2/5a11db0c5a11db0c"

    def rule(self, kind: str) -> str:
        """Return the ARN of the load balancer's rule for ``production`` or ``test``."""
        number = {"production": 1, "test": 2}[kind]
        return f"{_ELB}:listener-rule/app/{self.family}/5a11db0c5a11db0c/5a11db0c5a11db0c/{number:016x}"


STAGING = EcsEnvironment("staging", circuit_breaker=False)
PROD = EcsEnvironment("prod", circuit_breaker=True)
ECS_ENVIRONMENTS = {environment.name: environment for environment in (STAGING, PROD)}
BLUE_GREEN = "bluegreen"
BLUE_GREEN_ENVIRONMENTS = {
    name: replace(environment, variant=BLUE_GREEN) for name, environment in ECS_ENVIRONMENTS.items()
}
"""The service whose deployments shift traffic, on request."""


@dataclass(frozen=True)
class ComposeEnvironment:
    """One environment on the simulated container engine, with every name that follows from its own."""

    name: str

    @property
    def project(self) -> str:
        """The compose project."""
        return f"{SERVICE}-{self.name}"


LOCAL = ComposeEnvironment("local")
DATABASE_SERVICE = "postgres"
"""The compose service that the database runs in."""
