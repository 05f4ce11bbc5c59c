"""Addresses that this product listens on, and the server that answers there until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import uvicorn

from starter.exits import CliError, Exit, bad_input
from starter.processes.connections import Connections, guarded, trusted_proxies

if TYPE_CHECKING:
    from starlette.applications import Starlette

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]*):(?P<port>\d{1,5})")

GRACE_SECONDS = 12
"""Longer than Temporal may take; what is cut off is sent again."""

IDLE_SECONDS = 75


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0 is any free one."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL without trailing slash."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


def parse_address(text: str, named: str = "--listen") -> Address:
    """Read ``HOST:PORT``.

    Raises:
        CliError: it is something else.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or int(match["port"]) > 65535:
        raise bad_input(f"{named} {text} is not an address", "write HOST:PORT, such as 0.0.0.0:8080")
    return Address(match["host"].strip("[]") or "0.0.0.0", int(match["port"]))  # noqa: S104 - as ":8080" is read anywhere


def bind(address: Address, named: str = "--listen") -> socket.socket:
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
            Exit.BAD_INPUT, f"{named} {address.host}:{address.port}: {why}", "choose another"
        ) from None
    return taken


class Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and leaves signals to us."""

    def __init__(
        self, application: Starlette, connections: Connections, ready: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                lifespan="off",  # the applications have nothing to open or close
                server_header=False,
                proxy_headers=False,  # the log says who called, not who they say
                http=guarded(connections),
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
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


async def serve(address: Address, application: Starlette, ready: Callable[[str], None]) -> None:
    """Serve at an address until SIGINT or SIGTERM; ``ready`` gets its URL once calls are answered.

    Raises:
        CliError: the address cannot be had, or the proxies of the environment are none.
    """
    connections = Connections(trusted=trusted_proxies(os.environ))
    with bind(address) as listener:
        url = replace(address, port=listener.getsockname()[1]).url
        server = Server(application, connections, lambda: ready(url))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        await server.serve(sockets=[listener])
