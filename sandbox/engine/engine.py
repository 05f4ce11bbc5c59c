"""The environment ``local``: a container engine at an address of its own, and the compose project that it runs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sandbox.call_log import CallLog
from sandbox.engine.api import EngineApi
from sandbox.engine.control import compose_routes
from sandbox.engine.server import serving
from sandbox.engine.stack import Stack
from sandbox.forking import ForkServer
from sandbox.load import Load
from sandbox.names import LOCAL, SERVICE
from sandbox.postgres import Postgres
from sandbox.processes import free_port
from sandbox.runner import ProcessRunner
from sandbox.scrape_targets import ScrapeTargets

if TYPE_CHECKING:
    from starlette.routing import Route


class Engine:
    """The simulated engine and its one project."""

    def __init__(
        self, service: ForkServer, targets: ScrapeTargets | None, postgres: Postgres | None, log: CallLog
    ) -> None:
        """Prepare them; who gives what is reported at ``Stack``."""
        self._port = free_port()
        self._log = log
        self.stack = Stack(service, targets, postgres)
        self._open = AsyncExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """What a Docker client needs to find the engine."""
        return {"DOCKER_HOST": f"tcp://127.0.0.1:{self._port}"}

    @property
    def routes(self) -> list[Route]:
        """The sandbox's switches for the project."""
        return compose_routes(self.stack)

    async def open(self, runner: ProcessRunner, requests_per_second: float) -> Load:
        """Open the service's load balancer and the engine, without a container yet; return the service's load."""
        balancer = await runner.open_load_balancer(LOCAL.project, SERVICE)
        self.stack.balancer = balancer
        await self._open.enter_async_context(serving(EngineApi(self.stack, self._log), self._port))
        return Load(balancer.address, requests_per_second)

    async def close(self) -> None:
        """End the engine and every container."""
        await self._open.aclose()
        await self.stack.close()
