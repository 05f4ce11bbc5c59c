"""Runs the receiver on uvicorn until SIGINT or SIGTERM; calls that are under way are answered first."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from starter.exits import CliError, Exit, bad_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette

GRACE_SECONDS = 12
"""Longer than Temporal may take; what is cut off is sent again."""
CONNECTIONS = 500
"""Open at once, whatever they send; more are told 503."""
IDLE_SECONDS = 75
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]*):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0 is any free one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL without trailing slash."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``.

    Raises:
        CliError: it is something else.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match["port"]) > 65535:
        raise bad_input(f"--listen {text}: write HOST:PORT, such as 0.0.0.0:8080")
    return Address(match["host"].strip("[]") or "0.0.0.0", int(match["port"]))  # noqa: S104 - as ":8080" is read anywhere


def bind(address: Address) -> socket.socket:
    """Take the port.

    Raises:
        CliError: it cannot be had.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(where)
    except OSError as error:
        why = error.strerror or str(error)
        raise CliError(
            Exit.BAD_INPUT, f"--listen {address.host}:{address.port}: {why}; choose another"
        ) from None
    return taken


class _Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer calls."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep uvicorn from setting handlers of its own, which would end us by a signal instead of in order."""
        yield

    def stop(self) -> None:
        """Take no more calls, answer those under way, and end."""
        self.should_exit = True


async def serve(application: Starlette, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``ready`` is called once calls are answered."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, ready)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve(sockets=[listener])
