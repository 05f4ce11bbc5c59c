"""ARNs, ids and refusals, formed as AWS forms them."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]
"""The members of one AWS structure, named and typed as they travel."""


@dataclass(frozen=True)
class Names:
    """The ARNs of one account in one region."""

    region: str
    account: str

    def arn(self, resource: str) -> str:
        """Name any ECS resource."""
        return f"arn:aws:ecs:{self.region}:{self.account}:{resource}"

    def cluster(self, name: str) -> str:
        """Name a cluster."""
        return self.arn(f"cluster/{name}")

    def service(self, cluster: str, service: str) -> str:
        """Name a service."""
        return self.arn(f"service/{cluster}/{service}")

    def task_definition(self, family: str, revision: int) -> str:
        """Name one revision of a family."""
        return self.arn(f"task-definition/{family}:{revision}")

    def task(self, cluster: str, task_id: str) -> str:
        """Name a task."""
        return self.arn(f"task/{cluster}/{task_id}")

    def container(self, cluster: str, task_id: str, container_id: str) -> str:
        """Name a task's container."""
        return self.arn(f"container/{cluster}/{task_id}/{container_id}")

    def service_deployment(self, cluster: str, service: str, deployment_id: str) -> str:
        """Name a service deployment."""
        return self.arn(f"service-deployment/{cluster}/{service}/{deployment_id}")

    def service_revision(self, cluster: str, service: str, number: str) -> str:
        """Name a service revision; Terraform finds it by the number that its deployment's id ends in."""
        return self.arn(f"service-revision/{cluster}/{service}/{number}")

    def root(self) -> str:
        """Name the principal that every caller of the sandbox is."""
        return f"arn:aws:sts::{self.account}:assumed-role/runbook/session"


NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""What clusters, services and families may be called."""


def last_part(name_or_arn: str) -> str:
    """Return the name that ends an ARN, or the name itself."""
    return name_or_arn.rsplit("/", 1)[-1]


def new_number() -> str:
    """Return 19 digits, as in ``ecs-svc/<number>``."""
    return str(10**18 + secrets.randbelow(9 * 10**18))


class ApiError(Exception):
    """An answer other than success: AWS's error code, one sentence and an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ApiError:
    """Refuse a parameter's value."""
    return ApiError("InvalidParameterException", message)


def client_error(message: str) -> ApiError:
    """Refuse a request that AWS blames on the caller without a code of its own."""
    return ApiError("ClientException", message)


def service_not_active() -> ApiError:
    """Refuse to change a service that was deleted or drains."""
    return ApiError("ServiceNotActiveException", "Service was not ACTIVE.")
