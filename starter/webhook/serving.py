"""Runs the receiver on uvicorn until SIGINT or SIGTERM; calls that are under way are answered first."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from starter.processes.connections import Connections, guarded
from starter.processes.listening import Server

if TYPE_CHECKING:
    from starlette.applications import Starlette


GRACE_SECONDS = 12
"""Longer than Temporal may take; what is cut off is sent again."""
IDLE_SECONDS = 75


async def serve(
    application: Starlette, listener: socket.socket, connections: Connections, ready: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called once calls are answered."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the log says who called, not who they say
        http=guarded(connections),
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config, ready)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve(sockets=[listener])
