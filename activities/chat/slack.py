"""Slack by its Web API, where an incident is one thread, and by incoming webhooks."""

from __future__ import annotations

import asyncio
import logging
import ssl
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse, WebClient
from slack_sdk.webhook import WebhookClient

from activities.chat.outlet import address_of, reach, secret_of
from activities.chat.slack_messages import answered, blocks, mark_of, metadata, notification, slack_errors
from activities.runtime.fence import READ_TIMEOUT, knowing_who_asks, user_agent
from runbook_model.catalog.policies import Channel
from runbook_model.errors import AccessDeniedError, NotFoundError, RejectedError
from runbook_model.incident.announcements import Delivered

if TYPE_CHECKING:
    from activities.chat.wording import Flavour, Words

T = TypeVar("T")

CLOCKS_DIFFER = timedelta(minutes=5)

MOST_PAGES = 5

POSTING, POSTING_ANYWHERE = "chat:write", "chat:write.public"


class _Slack:
    """A channel of Slack, whose blocking client works in threads of its own."""

    flavour: Flavour = "slack"

    def __init__(self, channel: Channel, clients: SlackClients, threads: Executor) -> None:
        self._channel = channel
        self._clients = clients
        self._threads = threads

    async def _in_thread(self, do: Callable[..., T], *given: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, knowing_who_asks(do, *given))


class SlackThread(_Slack):
    """Posts to a channel; the thread's name is ``<channel id>/<ts of its first message>``.

    Its scopes: ``chat:write``; ``channels:history`` and ``channels:read`` (``groups:…`` for a private channel) let it
    find a message that an earlier attempt has posted. Without them a repeat is posted and says that it may be one.
    """

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Post it, unless an earlier attempt did."""
        return await self._in_thread(self._send, words, thread, again)

    async def look(self) -> str:
        """Ask Slack whose token it is, and whether the app may post to the channel."""
        return await self._in_thread(self._look)

    def _look(self) -> str:
        client = self._clients.web(secret_of(self._channel))
        with slack_errors(self._channel.name):
            app = client.auth_test()
            scopes = _scopes(app)
            if scopes and POSTING not in scopes:
                raise self._denied(f"has no scope {POSTING}", f"give the app the scope {POSTING}")
            shown = f"Slack knows the app as {app.get('user')}"
            try:
                found = self._conversation(client)
            except SlackApiError as error:
                if error.response.get("error") != "missing_scope":
                    raise
                return f"{shown}; whether it is in {self._name} is unknown: it has no scope to read channels"
        if found.get("is_archived"):
            raise RejectedError(
                f"channel {self._channel.name}: {self._name} is archived", fix="correct it in the catalog"
            )
        if found.get("is_member", True):
            return f"{shown}, in {self._name}"
        if POSTING_ANYWHERE not in scopes:
            raise self._denied(f"is not in {self._name}", f"invite the app to {self._name}")
        return f"{shown}, and it may post to {self._name} from outside"

    def _send(self, words: Words, thread: str | None, again: bool) -> Delivered:  # noqa: FBT001 - an executor passes no keywords
        client = self._clients.web(secret_of(self._channel))
        with slack_errors(self._channel.name):
            if again and (posted := self._find(client, words, thread)):
                return self._delivered(thread or posted, "it was there already")
        try:
            posted = self._post(client, words, thread, repeat=again)
        except NotFoundError:
            if thread is None:
                raise
            thread, posted = (
                None,
                self._post(client, words, None, repeat=again),
            )  # somebody deleted the thread
        return self._delivered(thread or posted)

    def _delivered(self, thread: str, more: str = "") -> Delivered:
        where = f"Slack, {self._channel.channel}"
        return Delivered(detail=f"{where}: {more}" if more else where, thread=thread)

    def _post(self, client: WebClient, words: Words, thread: str | None, *, repeat: bool) -> str:
        channel, _, first = (thread or "").partition("/")
        with slack_errors(self._channel.name):
            answer = client.chat_postMessage(
                channel=channel or self._name,
                text=notification(words),
                blocks=blocks(words, repeat=repeat),
                metadata=metadata(words),
                unfurl_links=False,
                unfurl_media=False,
                # Slack itself drops what it has seen under this id; it does not promise to.
                client_msg_id=str(uuid.uuid5(uuid.NAMESPACE_URL, words.mark)),
                thread_ts=first or None,
                reply_broadcast=words.urgent if first else None,
            )
        return f"{answer['channel']}/{answer['ts']}"

    @property
    def _name(self) -> str:
        return self._channel.channel or ""

    def _find(self, client: WebClient, words: Words, thread: str | None) -> str | None:
        """Look for a message that carries this mark; None also where the app may not look."""
        oldest = f"{(words.at - CLOCKS_DIFFER).timestamp():.6f}"
        more: dict[str, Any] = {"oldest": oldest, "include_all_metadata": True, "limit": 200}
        try:
            with slack_errors(self._channel.name):
                if thread:
                    channel, _, first = thread.partition("/")
                    said = client.conversations_replies(channel=channel, ts=first, **more)
                else:
                    channel = self._id(client)
                    said = client.conversations_history(channel=channel, **more)
                found = (item for item in _all(said, "messages") if mark_of(item) == words.mark)
                posted = next(found, None)
        except (AccessDeniedError, NotFoundError, RejectedError):
            return None
        return f"{channel}/{posted['ts']}" if posted else None

    def _id(self, client: WebClient) -> str:
        return str(self._listed(client)["id"]) if self._name.startswith("#") else self._name

    def _conversation(self, client: WebClient) -> dict[str, Any]:
        if self._name.startswith("#"):
            return self._listed(client)
        found: dict[str, Any] = client.conversations_info(channel=self._name)["channel"]
        return found

    def _listed(self, client: WebClient) -> dict[str, Any]:
        name = self._name.removeprefix("#")
        listed = client.conversations_list(
            types="public_channel,private_channel", exclude_archived=True, limit=1000
        )
        for item in _all(listed, "channels"):
            if item.get("name") == name:
                return item
        raise NotFoundError(
            f"channel {self._channel.name}: the app does not see {self._name}",
            fix=f"invite the app to {self._name}, or correct channel in the catalog",
        )

    def _denied(self, why: str, fix: str) -> AccessDeniedError:
        return AccessDeniedError(f"channel {self._channel.name}: the app {why}", fix=fix)


def _scopes(answer: SlackResponse) -> set[str]:
    """Read what a token may do; nothing where Slack does not say."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {item.strip() for item in headers.get("x-oauth-scopes", "").split(",")} - {""}


def _all(answer: SlackResponse, member: str) -> Iterable[dict[str, Any]]:
    """Walk over the pages of an answer, a few at most."""
    for page in islice(answer, MOST_PAGES):
        yield from page.get(member) or ()


class SlackWebhook(_Slack):
    """Posts to an incoming webhook; nothing can be looked up there, so a repeat says that it may be one."""

    async def look(self) -> str:
        """Connect to its host."""
        return await reach(self._channel, ssl.create_default_context)

    async def send(self, words: Words, thread: str | None, *, again: bool) -> Delivered:
        """Post it."""
        del thread
        return await self._in_thread(self._post, words, again)

    def _post(self, words: Words, again: bool) -> Delivered:  # noqa: FBT001 - a pool passes no keywords
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
        return Delivered(detail=f"Slack, channel {self._channel.name}")


class SlackClients:
    """Clients of Slack; Temporal retries, not they, and what they would log may hold addresses that are secrets."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._log = logging.getLogger("runbook.chat.slack")
        self._log.setLevel(logging.CRITICAL)

    def web(self, token: str) -> WebClient:
        """Return a client of the Web API for a bot's token."""
        return WebClient(
            token,
            base_url=self._api,
            timeout=round(READ_TIMEOUT.total_seconds()),
            logger=self._log,
            retry_handlers=[],
            user_agent_suffix=user_agent(),
        )

    def webhook(self, address: str) -> WebhookClient:
        """Return a client of an incoming webhook."""
        return WebhookClient(
            address,
            timeout=round(READ_TIMEOUT.total_seconds()),
            logger=self._log,
            retry_handlers=[],
            user_agent_suffix=user_agent(),
        )
