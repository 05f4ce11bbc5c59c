"""A real Temporal server of a test's own, in memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.runtime.processes import start_child, stop_child
from runbook_model.names import ids
from sandbox.machine.processes import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_SECONDS = 60
"""The SDK's own environment waits five seconds, in which a busy machine starts no server."""


@asynccontextmanager
async def temporal_server(*more: str, **connecting: Any) -> AsyncIterator[WorkflowEnvironment]:
    """Run a server that knows the product's search attributes.

    Args:
        more: more options of ``temporal server start-dev``.
        connecting: options of the client.
    """
    binary = shutil.which("temporal", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert binary, "temporal is not installed: run make set-up"
    port = free_port()
    attributes = [
        word for key in ids.SEARCH_ATTRIBUTES for word in ("--search-attribute", f"{key.name}=Keyword")
    ]
    argv = [binary, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)]
    child = start_child(
        [*argv, "--log-level", "error", *attributes, *more],
        environment=os.environ,
        dies_with_us_by=signal.SIGKILL,
    )
    try:
        yield WorkflowEnvironment.from_client(await _client(f"127.0.0.1:{port}", connecting))
    finally:
        await asyncio.to_thread(stop_child, child, 10.0)


async def _client(address: str, connecting: dict[str, Any]) -> Client:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                return await Client.connect(address, **connecting)
            except RuntimeError:  # nobody listens yet
                await asyncio.sleep(0.05)
