"""Answers of the ECS API, in botocore's shapes, and a client that gives them and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from activities.aws.clients import AwsClients
from runbook_model.catalog.accounts import Account
from tests.ecs_facts import ARN, NOW, deployment_arn, revision_arn, task_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Account(region="us-east-1")


@cache
def _clients() -> AwsClients:
    """Build the product's clients once: that takes botocore a quarter of a second; each test stubs them again."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.delenv("AWS_PROFILE", raising=False)
        clients = AwsClients()
        clients.ecs(HERE)
        return clients


class Ecs:
    """AwsClients whose ECS gives the answers of the test, in order; every other call fails the test."""

    def __init__(self) -> None:
        self.clients = _clients()
        self.stub = Stubber(self.clients.ecs(HERE))

    def answers(self, method: str, answer: dict[str, Any], expected: dict[str, Any] | None = None) -> None:
        self.stub.add_response(method, answer, expected)

    def refuses(self, method: str, code: str, *, status: int = 400, message: str = "") -> None:
        self.stub.add_client_error(method, code, message, http_status_code=status)

    def loses(self, method: str) -> None:
        """Fail like a server that broke off: what was asked for may have been done."""
        self.refuses(method, "ServerException", status=500)

    @contextmanager
    def asked_for_exactly_this(self) -> Iterator[None]:
        with self.stub:
            yield
            self.stub.assert_no_pending_responses()


def service(number: int = 2, revision: int = 2, *, made: int | None = None, **changes: Any) -> dict[str, Any]:
    """A service whose PRIMARY is deployment ``number``, of ``shop:revision``, brought by service deployment ``made``."""
    primary = {
        "id": f"ecs-svc/{number}",
        "status": "PRIMARY",
        "taskDefinition": task_definition(revision),
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "rolloutState": "COMPLETED",
        "createdAt": NOW,
    }
    return {
        "serviceArn": f"{ARN}:service/prod/shop",
        "serviceName": "shop",
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "taskDefinition": task_definition(revision),
        "deployments": [primary],
        "currentServiceDeployment": deployment_arn(made or number),
        "currentServiceRevisions": [{"arn": revision_arn(number)}],
    } | changes


def services(*found: dict[str, Any]) -> dict[str, Any]:
    return {"services": list(found), "failures": []}


def definition(
    revision: int, image: str = "shop:1.0", *, status: str = "ACTIVE", tags: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "taskDefinition": {
            "taskDefinitionArn": task_definition(revision),
            "family": "shop",
            "revision": revision,
            "status": status,
            "containerDefinitions": [{"name": "app", "image": image}],
        },
        "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
    }
