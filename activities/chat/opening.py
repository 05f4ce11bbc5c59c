"""Which channel is which: names of the catalog become outlets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.chat.log import Log
from activities.chat.slack_thread import SlackThread
from activities.chat.slack_webhook import SlackWebhook
from activities.chat.webhook import Webhook
from runbook_model.catalog.catalog import load_catalog
from runbook_model.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from activities.aws.clients import SlackClients
    from activities.chat.outlet import Outlet
    from runbook_model.catalog.catalog import Catalog

# Threads of their own: a Slack that does not answer takes none from a change.
THREADS = 8
A_MEND_TAKES = timedelta(seconds=15)


class Channels:
    """The channels of this worker's catalog; read anew each time, so that an edit counts for the next message."""

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
            error.retryable, error.retry_in = True, A_MEND_TAKES
            raise
