"""Time until users see the old release again: the product's stop of what is under way, against ``aws ecs update-service``.

On one sandbox, two equal services at a time get a bad release each, whose deployment is in its bake time, or between two
steps. One is rolled back by the product, from bob's yes on; for the other somebody types ``aws ecs update-service`` with the
old task definition. Clients ask both all the time: traffic is back after the last answer of the bad release.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from _report import median, publish
from temporalio.client import Client

from activities.runtime.converter import data_converter
from runbook_model.messages import Approval
from tests.integration.rollback.rollback_stage import Stage
from tests.sandbox_under_test import running_sandbox, until

if TYPE_CHECKING:
    from tests.integration.rollback.rollback_stage import Shop

PAIRS = 3
GOOD, BAD = "1.0.0", "1.1.0"
STEP, BAKE = 10, 60
"""Minutes, which are two seconds each in the sandbox."""
STRATEGIES: dict[str, dict[str, Any]] = {
    "BLUE_GREEN": {},
    "LINEAR": {"linearConfiguration": {"stepPercent": 50.0, "stepBakeTimeInMinutes": STEP}},
    "CANARY": {"canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": STEP}},
}
CELLS = [(name, "bake") for name in STRATEGIES] + [("LINEAR", "between steps"), ("CANARY", "between steps")]
ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
AWS = str(Path(sys.executable).with_name("aws"))
_numbers = count(1)


@dataclass(frozen=True)
class Took:
    """Seconds from the yes, or from Enter."""

    call: float
    """Until AWS had the call."""
    back: float
    """Until the last answer of the bad release."""


class Clients:
    """Ask a service all the time, and write down when the bad release answered last."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/health"
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]
        self.last_bad = 0.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def back_after(self, began: float) -> float:
        """Return the seconds until the bad release had answered last; 0 where it answered no more."""
        return max(0.0, self.last_bad - began)

    def _ask(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self._ended.wait(0.01):
                answer = client.get(self._url)
                if answer.status_code == 200 and answer.json().get("version") == BAD:
                    self.last_bad = max(self.last_bad, time.time())


def open_service(stage: Stage, strategy: str) -> Shop:
    """Create a service of this strategy on its good release."""
    name = f"traffic-{next(_numbers)}"
    rule = f"{ELB}:listener-rule/app/{name}/5a11db0c5a11db0c/5a11db0c5a11db0c/{1:016x}"
    balancer = {
        "targetGroupArn": f"{ELB}:targetgroup/{name}-1/5a11db0c5a11db0c",
        "containerName": "app",
        "containerPort": 8080,
        "advancedConfiguration": {
            "alternateTargetGroupArn": f"{ELB}:targetgroup/{name}-2/5a11db0c5a11db0c",
            "productionListenerRule": rule,
            "roleArn": "arn:aws:iam::123456789012:role/traffic",
        },
    }
    configuration = {"strategy": strategy, "bakeTimeInMinutes": BAKE, **STRATEGIES[strategy]}
    return stage.open_shop(
        "gated", GOOD, desired=2, loadBalancers=[balancer], deploymentConfiguration=configuration
    )


def get_to(shop: Shop, moment: str) -> None:
    """Deploy the bad release, and wait until its deployment is at a moment."""
    shop.deploy(BAD, FAULT_ERROR_RATE=0.3)

    def is_there() -> bool:
        newest = shop.service_deployments()[0]
        if moment == "bake":
            return newest.get("lifecycleStage") == "BAKE_TIME"
        return 0 < newest["targetServiceRevision"].get("requestedProductionTrafficWeight", 0) < 100

    until(is_there)


def called_at(shop: Shop, action: str, since: int) -> float:
    """Return when AWS had the one call that changed the service."""
    made = shop.stage.world.calls(action, since=since)
    found = [call for call in made if not call["error"] and shop.name in str(call["parameters"])]
    assert len(found) == 1, found
    return datetime.fromisoformat(found[0]["time"]).timestamp()


async def by_product(shop: Shop) -> Took:
    """Roll back by the product: bob says yes to the plan that he is shown."""
    since = len(shop.stage.world.calls())
    handle = await shop.start()
    gate = await shop.asked(handle)
    assert [call.action for call in gate.plan.calls] == ["StopServiceDeployment"]
    with Clients(shop.url) as clients:
        await asyncio.sleep(1)  # some answers before it
        began = time.time()
        await handle.execute_update("decide", Approval(by="bob", plan_hash=gate.plan_hash))
        report = await handle.result()
    assert str(report.outcome) == "recovered", report.summary
    return Took(called_at(shop, "StopServiceDeployment", since) - began, clients.back_after(began))


def by_hand(shop: Shop) -> Took:
    """Update the service to the old task definition by the AWS CLI, and wait until that has all traffic."""
    world = shop.stage.world
    since = len(world.calls())
    argv = [AWS, "ecs", "update-service", "--cluster", shop.cluster, "--service", shop.ecs_service]
    argv += ["--task-definition", f"{shop.family}:1", "--output", "json"]
    with Clients(shop.url) as clients:
        time.sleep(1)
        began = time.time()
        subprocess.run(argv, env=os.environ | world.addresses.env, check=True, capture_output=True)
        until(lambda: shop.service_deployments()[0].get("lifecycleStage") == "BAKE_TIME")
    return Took(called_at(shop, "UpdateService", since) - began, clients.back_after(began))


async def pair(stage: Stage, strategy: str, moment: str) -> tuple[Took, Took]:
    """Measure both ways, one after the other, on equal services."""
    took: list[Took] = []
    for product in (True, False):
        shop = await asyncio.to_thread(open_service, stage, strategy)
        await asyncio.to_thread(get_to, shop, moment)
        took.append(await by_product(shop) if product else await asyncio.to_thread(by_hand, shop))
        stage.close_shops()
    print(f"  {strategy}, {moment}: {took}", file=sys.stderr, flush=True)
    return took[0], took[1]


def rows(strategy: str, moment: str, pairs: list[tuple[Took, Took]]) -> list[dict[str, object]]:
    """Two rows of the table."""
    ways = zip(("rollback, from the yes", "aws ecs update-service"), zip(*pairs, strict=True), strict=True)
    medians = [median([took.back for took in some]) for some in zip(*pairs, strict=True)]
    return [
        {
            "strategy": strategy,
            "moment": moment,
            "way": way,
            "call s": median([took.call for took in some]),
            "traffic back s": medians[number],
            "slowest s": max(took.back for took in some),
            "ratio": f"{medians[number] / medians[0]:.1f}x",
        }
        for number, (way, some) in enumerate(ways)
    ]


async def main() -> None:
    """Measure every cell, in one sandbox."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    found: list[dict[str, object]] = []
    with running_sandbox("--no-load") as world, tempfile.TemporaryDirectory(prefix="traffic-") as folder:
        client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
        stage = Stage(world, Path(folder), client)
        stage.start_worker()
        try:
            for strategy, moment in CELLS:
                found += rows(strategy, moment, [await pair(stage, strategy, moment) for _ in range(many)])
        finally:
            stage.end()
    publish("traffic_back", found)


if __name__ == "__main__":
    asyncio.run(main())
