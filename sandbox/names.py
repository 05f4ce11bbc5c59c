"""The fixed names of the sandbox's world: environments, clusters, services, families, log groups."""

from __future__ import annotations

from dataclasses import dataclass

REGION = "us-east-1"
ACCOUNT = "123456789012"
SERVICE = "ai-processor"
CONTAINER = "app"
FIRST_VERSION = "1.0.0"
SANDBOX_USER_AGENT = "sandbox-internal"
"""Marks the sandbox's own AWS calls; they stay out of the call log."""


@dataclass(frozen=True)
class EcsEnvironment:
    """One environment on the simulated ECS, with every name that follows from its own."""

    name: str
    circuit_breaker: bool

    @property
    def cluster(self) -> str:
        """The ECS cluster."""
        return f"{SERVICE}-{self.name}"

    @property
    def ecs_service(self) -> str:
        """The ECS service."""
        return f"{SERVICE}-service-{self.name}"

    @property
    def family(self) -> str:
        """The task definition family."""
        return f"{SERVICE}-{self.name}"

    @property
    def log_group(self) -> str:
        """The CloudWatch log group of the tasks' output."""
        return f"/ecs/{SERVICE}-{self.name}"

    @property
    def execution_role(self) -> str:
        """The ARN of the role by which ECS pulls the tasks' image and writes their log."""
        return f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-{self.name}-execution"

    @property
    def target_group(self) -> str:
        """The ARN under which ECS knows the service's load balancer."""
        return f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{SERVICE}-{self.name}/5a11db0c5a11db0c"


STAGING = EcsEnvironment("staging", circuit_breaker=False)
PROD = EcsEnvironment("prod", circuit_breaker=True)
ECS_ENVIRONMENTS = {environment.name: environment for environment in (STAGING, PROD)}


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
