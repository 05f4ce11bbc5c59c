"""The channels of the catalog: names become outlets, of Slack, a webhook, or the log."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from activities.chat.outlet import Outlet, address_of, patience, reach
from activities.chat.slack import SlackClients, SlackThread, SlackWebhook
from activities.http.client import wait_for_end
from activities.telemetry.telemetry import untraced
from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.catalog.policies import Channel
from runbook_model.errors import (
    AccessDeniedError,
    CatalogError,
    OutsideError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.incident.announcements import Delivered

if TYPE_CHECKING:
    from activities.chat.wording import Flavour, Words

# Threads of their own: a Slack that does not answer takes none from a change.
THREADS = 8

REPAIR_TAKES = timedelta(seconds=15)


class Channels:
    """The channels of this worker's catalog; read again each time, so that an edit counts for the next message."""

    def __init__(self, catalog: Path, slack: SlackClients, http: httpx.AsyncClient) -> None:
        self._path = catalog
        self._slack = slack
        self._http = http
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="chat")

    def open(self, name: str) -> Outlet:
        """Return a channel by its name; one that the catalog does not have is the log, which says so."""
        channel = self._catalog().channel(name)
        if channel is None:
            return Log(instead_of=name)
        match channel.kind:
            case "slack-webhook":
                return SlackWebhook(channel, self._slack, self._threads)
            case "slack":
                return SlackThread(channel, self._slack, self._threads)
            case "webhook":
                return Webhook(channel, self._http)
            case "log":
                return Log()

    def of(self, environment: str) -> tuple[str, ...]:
        """Name the channels of an environment."""
        return self._catalog().channels_of(environment)

    def _catalog(self) -> Catalog:
        try:
            return load_catalog(self._path)
        except CatalogError as error:
            # Somebody edits it at this moment; the message is not lost over that.
            error.retryable, error.retry_in = True, REPAIR_TAKES
            raise


class Webhook:
    """Posts ``{"mark", "text", …}`` with the mark as ``Idempotency-Key``."""

    flavour: Flavour = "txt"

    def __init__(self, channel: Channel, http: httpx.AsyncClient) -> None:
        self._channel = channel
        self._http = http

    async def look(self) -> str:
        """Connect to its host."""
        return await reach(self._channel, httpx.create_ssl_context)

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Post it; the receiver recognises a repeat by its key."""
        del thread
        body = {**words.content, "mark": words.mark, "text": words.text, "repeat": again}
        try:
            with untraced():
                key = {"idempotency-key": words.mark}
                post = self._http.stream("POST", address_of(self._channel), json=body, headers=key)
                async with post as answer:
                    await wait_for_end(answer)  # one that breaks off may not have taken the message
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # httpx quotes the address, which is a secret: its words stay here.
            raise UnreachableError(f"channel {self._channel.name}: {type(error).__name__}") from None
        if not answer.is_success:
            raise _refusal(answer, self._channel.name) from None
        return Delivered(detail=f"channel {self._channel.name}: HTTP {answer.status_code}")


def _refusal(answer: httpx.Response, name: str) -> OutsideError:
    said = f"channel {name}: HTTP {answer.status_code}"
    status = answer.status_code
    if status == 429:
        return ThrottledError(said, retry_in=patience(answer.headers))
    if status in {401, 403}:
        return AccessDeniedError(said, fix="correct its address in the worker's environment")
    return UnreachableError(said) if status >= 500 or status == 408 else RejectedError(said)


log = logging.getLogger("runbook.chat")


class Log:
    """Writes to the log; ``instead_of`` names a channel that the catalog does not have."""

    flavour: Flavour = "txt"

    def __init__(self, instead_of: str | None = None) -> None:
        self._why = f' (the catalog has no channel "{instead_of}")' if instead_of else ""

    async def look(self) -> str:
        """Say what it is: there is nothing that could be away."""
        return f"the worker's log{self._why}"

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Write it; a repeat is recognised by its mark."""
        del thread, again
        level = logging.WARNING if words.urgent else logging.INFO
        log.log(level, "%s [%s]%s", words.text, words.mark, self._why)
        return Delivered(detail=f"the worker's log{self._why}")
