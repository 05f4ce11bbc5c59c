"""A world of many services: a real Temporal server, a lean ECS endpoint, and the product's own worker process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from temporalio.client import Client

from activities.runtime.converter import data_converter
from activities.runtime.processes import stop_child
from runbook_model.catalog.catalog import load_catalog
from sandbox.temporal import TemporalServer
from tests.programs import Program
from tests.sandbox_under_test import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from runbook_model.catalog.target import Target
    from tests.lean_ecs import Call

CLUSTER = "many"
CATALOG = """
[environments.gated]
cluster = "many"
approvals = { needed = 1, requester_may = true, remind = "7d", escalate = "7d", timeout = "7d" }

[environments.open]
cluster = "many"
approvals = { needed = 0 }
"""
SHOP = """
[services.{name}.{environment}]
ecs_service = "{name}-{environment}"
rollback = {{ soak = "0s", steady = "7d" }}
"""


@dataclass(frozen=True)
class Use:
    """What a process used between two moments."""

    cpu: float
    """Share of one core."""
    memory: float
    """Resident MB at the end."""


class ManyServices:
    """``shop-0000`` and so on in the environments ``open`` and ``gated``, all on one cluster."""

    def __init__(self, client: Client, temporal_pid: int, endpoint: str, settings: dict[str, str]) -> None:
        self.client = client
        self.settings = settings
        self.temporal = psutil.Process(temporal_pid)
        self.worker = psutil.Process()
        catalog = Path(settings["RUNBOOK_CATALOG"])
        self._catalog = load_catalog(catalog)
        self._log = catalog.with_name("worker.log")
        self._ecs = httpx.AsyncClient(base_url=endpoint, trust_env=False, timeout=30)

    def target(self, number: int, environment: str = "open") -> Target:
        """The target as the worker resolves it."""
        return self._catalog.target(name(number), environment)

    async def calls(self, since: float = 0.0) -> list[Call]:
        """Every AWS call since a moment, with its time."""
        answer = await self._ecs.post("/calls", json={"since": since})
        return [tuple(call) for call in answer.raise_for_status().json()["calls"]]

    async def rollouts_take(self, seconds: float | None) -> None:
        """Let coming deployments be steady after so many seconds; None: never."""
        (await self._ecs.post("/rollouts", json={"seconds": seconds})).raise_for_status()

    async def steady_at(self, moments: dict[str, float], environment: str = "open") -> None:
        """Set when the last deployments of some services get steady, in seconds since 1970."""
        services = {f"{item}-{environment}": moment for item, moment in moments.items()}
        (await self._ecs.post("/steady", json={"cluster": CLUSTER, "services": services})).raise_for_status()

    async def use(self, process: psutil.Process, seconds: float) -> Use:
        """Measure a process for some seconds."""
        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        await asyncio.sleep(seconds)
        cpu = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
        return Use(cpu, process.memory_info().rss / 2**20)

    @contextmanager
    def working(self, environment: str = "open") -> Iterator[psutil.Process]:
        """Run the product's worker for one environment; it is also ``self.worker`` meanwhile."""
        with self._log.open("ab") as log:
            said = log.tell()
            process = Program("worker", "--environment", environment, environment=self.settings, log=log)
        try:
            until(lambda: b"worker ready" in self._log.read_bytes()[said:])
            self.worker = psutil.Process(process.pid)
            yield self.worker
        finally:
            stop_child(process, 5)


def name(number: int) -> str:
    """The name of a service."""
    return f"shop-{number:04}"


@asynccontextmanager
async def many_services(number: int, *, latency: float = 0.05) -> AsyncIterator[ManyServices]:
    """Set up a world of so many services.

    Args:
        number: of services, in each environment.
        latency: seconds that ECS takes for every answer.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="many-services-")))
        endpoint = stack.enter_context(_endpoint(latency))
        catalog = folder / "catalog.toml"
        shops = (SHOP.format(name=name(n), environment=e) for n in range(number) for e in ("open", "gated"))
        catalog.write_text(CATALOG + "".join(shops), encoding="utf-8")
        server = TemporalServer(folder)
        await server.start()
        stack.push_async_callback(server.end)
        settings = os.environ | {
            "TEMPORAL_ADDRESS": server.address,
            "RUNBOOK_CATALOG": str(catalog),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        client = await Client.connect(server.address, data_converter=data_converter)
        assert server.pid is not None
        yield ManyServices(client, server.pid, endpoint, settings)


@contextmanager
def _endpoint(latency: float) -> Iterator[str]:
    argv = [sys.executable, "-m", "tests.lean_ecs", f"--latency={latency}"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
    finally:
        process.terminate()
        process.wait(10)
