"""Serves a Starlette application inside the sandbox's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.applications import Starlette


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the sandbox decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(application: Starlette, port: int) -> AsyncIterator[None]:
    """Serve on a loopback port while the context lasts."""
    server = _Server(
        uvicorn.Config(
            application,
            host="127.0.0.1",
            port=port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError(f"nothing serves port {port}")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
