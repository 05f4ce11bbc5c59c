"""Slack by an incoming webhook: one address, one channel, no threads."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from activities.chat.outlet import address_of
from activities.chat.reaching import reach
from activities.chat.slack_blocks import blocks, metadata, notification
from activities.chat.slack_errors import answered, slack_errors
from runbook_model.incident.announcements import Delivered

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from activities.aws.clients import SlackClients
    from activities.chat.wording import Flavour, Words
    from runbook_model.catalog.policies import Channel


class SlackWebhook:
    """Posts to an incoming webhook; nothing can be looked up there, so a repeat says that it may be one."""

    flavour: Flavour = "slack"

    def __init__(self, channel: Channel, clients: SlackClients, threads: Executor) -> None:
        self._channel = channel
        self._clients = clients
        self._threads = threads

    async def look(self) -> str:
        """Connect to its host."""
        return await reach(self._channel, ssl.create_default_context)

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Post it."""
        del thread
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._post, words, again)

    def _post(self, words: Words, again: bool) -> Delivered:  # noqa: FBT001 - an executor passes no keywords
        client = self._clients.webhook(address_of(self._channel))
        with slack_errors(self._channel.name):
            answer = client.send(
                text=notification(words),
                blocks=blocks(words, repeat=again),
                metadata=metadata(words),
                unfurl_links=False,
                unfurl_media=False,
            )
        if answer.status_code != 200:
            raise answered(self._channel.name, answer.status_code, answer.body, answer.headers)
        return Delivered(told=f"Slack, channel {self._channel.name}")
