"""Whether the host of a webhook takes a connection: nothing is sent there, and nothing of its address is ever shown."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from socket import gaierror
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from activities.chat.outlet import address_of
from runbook_model.errors import CredentialsError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbook_model.catalog.policies import Channel

PORTS = {"http": 80, "https": 443}


async def reach(channel: Channel, certificates: Callable[[], ssl.SSLContext]) -> str:
    """Connect and hang up; what goes by a proxy is left to it.

    Args:
        channel: whose variable holds the address.
        certificates: returns what the host's certificate is checked by.

    Raises:
        CredentialsError: the variable holds no address.
        UnreachableError: there is no such host, or it takes no connection.
    """
    scheme, host, port = _parts(channel)
    if _goes_by_proxy(scheme, host):
        return "goes by the proxy of the worker's environment, not tried"
    context = await asyncio.to_thread(certificates) if scheme == "https" else None
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, ValueError) as error:  # their words hold the host
        raise UnreachableError(f"channel {channel.name}: {_why(error)}") from None
    writer.transport.abort()
    return "its host takes a connection, not tried"


def _parts(channel: Channel) -> tuple[str, str, int]:
    with suppress(ValueError):
        parts = urlsplit(address_of(channel))
        if parts.hostname:
            return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
    raise CredentialsError(f"channel {channel.name}: {channel.secret_env} holds no address: mend it")


def _goes_by_proxy(scheme: str, host: str) -> bool:
    known = getproxies()
    return bool(known.get(scheme) or known.get("all")) and not proxy_bypass(host)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no TLS with its host ({error.reason or type(error).__name__})"
    if isinstance(error, gaierror | ValueError):
        return "its host has no address in the worker's network"
    return f"its host takes no connection ({type(error).__name__})"
