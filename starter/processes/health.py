"""Whether a worker lives and is ready, for whoever supervises it: ``/healthz`` and ``/readyz``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from starter.processes.connections import Connections
from starter.processes.listening import Server, bind, parse_address

if TYPE_CHECKING:
    from starlette.requests import Request

TIMEOUT = timedelta(seconds=2)


class Health:
    """What a worker says of itself.

    It lives as long as it answers. It is ready while all its queues are served and Temporal answers: one that is not is
    let alone, for a restart brings no Temporal back.
    """

    def __init__(self, client: Client, workers: Sequence[Worker]) -> None:
        self._client = client
        self._workers = workers

    @property
    def application(self) -> Starlette:
        """The two paths."""
        return Starlette(routes=[Route("/healthz", self._lives), Route("/readyz", self._ready)])

    async def _lives(self, _: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    async def _ready(self, _: Request) -> JSONResponse:
        why = await self._why_not()
        return JSONResponse({"ready": why is None, "why": why}, status_code=503 if why else 200)

    async def _why_not(self) -> str | None:
        idle = sorted({worker.task_queue for worker in self._workers if not worker.is_running})
        if idle:
            return f"not served: {', '.join(idle)}"
        try:
            serving = await self._client.service_client.check_health(timeout=TIMEOUT)
        except RPCError as error:
            return f"Temporal does not answer: {error.message}"
        return None if serving else "Temporal's health check says that it is not ready"


@asynccontextmanager
async def served_health(application: Starlette, address: str) -> AsyncIterator[None]:
    """Answer at an address for as long as the block runs.

    Raises:
        CliError: nothing can listen there.
    """
    listener = bind(parse_address(address, "RUNBOOK_HEALTH"), "RUNBOOK_HEALTH")
    server = Server(application, Connections())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.stop()
        await serving
