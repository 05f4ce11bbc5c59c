"""Three hundred services are discovered within the request rates that AWS documents."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from runbook_model.catalog.catalog import parse_catalog
from sandbox.aws_clients import aws_environment
from starter.commands.operation.catalog import read_account
from starter.discovery.writing import write_catalog

if TYPE_CHECKING:
    from ecs_world import World

pytestmark = pytest.mark.rare  # the rates are the real ones, so it takes a quarter of a minute
ENVIRONMENTS = ("staging", "prod")
SERVICES = 150


def put_services(world: World) -> None:
    """Put services without tasks there, past the endpoint and its rates."""
    container = {"name": "app", "image": "shop:1", "memory": 128}

    async def put() -> None:
        for cluster in ENVIRONMENTS:
            await world.ecs_simulation.call("CreateCluster", {"clusterName": cluster})
            for number in range(SERVICES):
                name = f"api-{number}-{cluster}"
                definition = {"family": name, "containerDefinitions": [container]}
                service = {"cluster": cluster, "serviceName": name, "taskDefinition": name, "desiredCount": 0}
                await world.ecs_simulation.call("RegisterTaskDefinition", definition)
                await world.ecs_simulation.call("CreateService", service)

    asyncio.run_coroutine_threadsafe(put(), world.loop).result()


def test_three_hundred_services_are_read_at_the_rates_of_aws(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_services(world)
    for name, value in aws_environment(world.url).items():
        monkeypatch.setenv(name, value)

    found = read_account([], None)

    assert [unread.action for unread in found.unread] == ["aps:ListWorkspaces"], "moto is not there"
    catalog = parse_catalog(write_catalog(found, None).text, "found.toml")
    assert sum(len(service.environments) for service in catalog.services.values()) == 2 * SERVICES
    answered = Counter(call["action"] for call in world.calls() if not call["error"])
    assert answered == {
        "GetCallerIdentity": 1,
        "ListClusters": 1,
        "DescribeClusters": 1,
        "ListServices": 4,
        "DescribeServices": 30,
        "DescribeTaskDefinition": 300,
        "DescribeScalableTargets": 1,
    }
    throttled = Counter(call["action"] for call in world.calls() if call["error"] == "ThrottlingException")
    assert set(throttled) == {"DescribeTaskDefinition"}, "ten services are described by one call"
