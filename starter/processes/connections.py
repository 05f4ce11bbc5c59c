"""Connections that nobody can occupy: silent ones end, and make room for those that say something."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from uvicorn.protocols.http.h11_impl import H11Protocol

from starter.exits import bad_input

TRUSTED_PROXIES = "RUNBOOK_TRUSTED_PROXIES"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
SAY_AGAIN_SECONDS = 60.0
"""So often a full house is logged at most."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConnectionLimits:
    """How many connections may be open, and how long they may take."""

    total: int = 500
    per_source: int = 100
    """Of one address, or of one /64 of IPv6; trusted proxies speak for many, and have no such limit."""
    head_seconds: float = 10.0
    """Until a request's head is complete, from the connection or from its first byte on."""
    request_seconds: float = 60.0
    """From there until it is answered, however slowly body and answer are sent and read."""


class Connections:
    """What is open now. A connection on which no request is under way is idle, and ends where others need its place."""

    def __init__(self, limits: ConnectionLimits | None = None, trusted: tuple[Network, ...] = ()) -> None:
        self.limits = limits or ConnectionLimits()
        self._trusted = trusted
        self._open: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self._said_at = float("-inf")

    def admit(self, connection: Connection) -> bool:
        """Take a new connection, where needed in the place of an idle one; False where there is no place."""
        own = self._open[connection.source]
        if len(own) >= self.limits.per_source and not self._is_trusted(connection.source):
            full = self._end_idle(own)
        elif sum(map(len, self._open.values())) >= self.limits.total:
            crowd = sorted(self._open.values(), key=len, reverse=True)
            full = self._end_idle({item: None for group in crowd for item in group})
        else:
            full = False
        if full:
            self._say(connection.source)
        else:
            own[connection] = None
        return not full

    def forget(self, connection: Connection) -> None:
        """Give back the place of one that has ended."""
        own = self._open[connection.source]
        own.pop(connection, None)
        if not own:
            del self._open[connection.source]

    def _end_idle(self, candidates: Mapping[Connection, None]) -> bool:
        """End the first that is idle; whether there is none."""
        idle = next((item for item in candidates if not item.busy), None)
        if idle is not None:
            self.forget(idle)
            idle.end()
        return idle is None

    def _is_trusted(self, source: str) -> bool:
        first = ipaddress.ip_network(source).network_address
        return any(first in proxies for proxies in self._trusted)

    def _say(self, source: str) -> None:
        if time.monotonic() >= self._said_at + SAY_AGAIN_SECONDS:
            self._said_at = time.monotonic()
            _log.warning("too many connections; new ones are refused", extra={"from": source})


class Connection(H11Protocol):
    """A connection of uvicorn's that has so long for a head, and so long for a request."""

    table: Connections
    """Set by ``guarded``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Take a place, or answer that there is none."""
        super().connection_made(transport)
        self._clock: asyncio.TimerHandle | None = None
        self._phase: Literal["head", "request", "kept"] | None = None
        self.source = source_of(self.client[0] if self.client else "")
        if self.table.admit(self):
            self._enter("head")
        else:
            transport.write(BUSY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Go on with a head or a body."""
        super().data_received(data)
        self._enter("request" if self.busy else "head")

    def on_response_complete(self) -> None:
        """Wait for the next request, or go on with the one that has arrived already."""
        self._phase = None
        super().on_response_complete()
        self._enter("request" if self.busy else "kept")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._stop_clock()
        self.table.forget(self)
        super().connection_lost(exc)

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def end(self) -> None:
        """Close at once."""
        self.transport.abort()

    def _enter(self, phase: Literal["head", "request", "kept"]) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        self._stop_clock()
        limits = self.table.limits
        if phase != "kept":  # uvicorn ends those that stay silent after an answer
            seconds = limits.head_seconds if phase == "head" else limits.request_seconds
            self._clock = self.loop.call_later(seconds, self.end)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()


def guarded(table: Connections) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol for connections of this table."""
    return type("GuardedConnection", (Connection,), {"table": table})


def source_of(host: str) -> str:
    """Return whom a connection counts for: an address, or the /64 of IPv6, of which anybody has as many as they like."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "0.0.0.0/32"  # a socket without addresses
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 32 if address.version == 4 else 64), strict=False))


def trusted_proxies(environment: Mapping[str, str]) -> tuple[Network, ...]:
    """Return the proxies that speak for many: addresses or networks, with commas.

    Raises:
        CliError: one of them is neither.
    """
    given = [item.strip() for item in environment.get(TRUSTED_PROXIES, "").split(",") if item.strip()]
    try:
        return tuple(ipaddress.ip_network(item, strict=False) for item in given)
    except ValueError as error:
        raise bad_input(
            f"{TRUSTED_PROXIES}: {error}", "write addresses or networks with commas: 10.0.0.7,10.1.0.0/16"
        ) from None
