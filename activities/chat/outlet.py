"""What every kind of channel can do, where it takes its secret from, and how it is reached."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from socket import gaierror
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from runbook_model.catalog.policies import Channel
from runbook_model.errors import CredentialsError, UnreachableError
from runbook_model.incident.announcements import Delivered

if TYPE_CHECKING:
    from activities.chat.wording import Flavour, Words

SOON, LATE = timedelta(seconds=1), timedelta(minutes=2)


class Outlet(Protocol):
    """One channel, ready to speak."""

    flavour: Flavour

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Say it.

        Args:
            words: what is said.
            thread: the channel's name of the incident's thread; None starts one.
            again: an earlier attempt may have said it already.

        Raises:
            OutsideError: it was not said, or nobody knows; never with a secret in its words.
        """

    async def look(self) -> str:
        """Look whether it would be said, as far as that goes without notifying anybody; returns what was found.

        Raises:
            OutsideError: it would not; never with a secret in its words.
        """


def secret_of(channel: Channel) -> str:
    """Return what the channel's variable holds.

    Raises:
        CredentialsError: nothing; a person sets it, and the message goes out once a worker has it.
    """
    value = os.environ.get(channel.secret_env or "", "").strip()
    if not value:
        raise CredentialsError(
            f"channel {channel.name}: the worker's environment has no {channel.secret_env}",
            fix=f"set {channel.secret_env} for it, or correct secret_env in the catalog",
        )
    return value


def address_of(channel: Channel) -> str:
    """Return the address that the channel's variable holds.

    Raises:
        CredentialsError: it holds none; the message does not show what it holds.
    """
    value = secret_of(channel)
    if not value.startswith(("https://", "http://")):
        raise CredentialsError(
            f"channel {channel.name}: {channel.secret_env} holds no http(s) address", fix="correct it"
        )
    return value


def patience(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long a busy channel wants to be left alone, within reason."""
    asked = headers.get("retry-after") or headers.get("Retry-After") or ""
    return (
        min(max(timedelta(seconds=int(asked)), SOON), LATE) if asked.isascii() and asked.isdigit() else None
    )


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
    raise CredentialsError(f"channel {channel.name}: {channel.secret_env} holds no address", fix="correct it")


def _goes_by_proxy(scheme: str, host: str) -> bool:
    known = getproxies()
    return bool(known.get(scheme) or known.get("all")) and not proxy_bypass(host)


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no TLS with its host ({error.reason or type(error).__name__})"
    if isinstance(error, gaierror | ValueError):
        return "its host has no address in the worker's network"
    return f"its host takes no connection ({type(error).__name__})"
