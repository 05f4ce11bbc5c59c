"""How people hear of an incident: announcements, calls along the contacts, and what waits for each channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from activities.chat.activities import ChatActivities
from runbook_model.incident.account import Account, Call, Outbox
from runbook_model.incident.announcements import Announcement, Delivery
from runbook_model.names import ids
from workflows.decisions.announcing import Kind, announcement, gist
from workflows.decisions.calling import next_call, next_channel, next_contact, note_refusal
from workflows.decisions.incidents import is_empty
from workflows.page.options import ActivityOptions

MOST_WAITING = 50
"""So many messages wait for one channel; of more, old updates are left out, which newer ones tell again."""
# A channel that is down is tried until it is back, once a minute; the messages behind wait, and nothing else does.
DELIVER = ActivityOptions(
    start_to_close_timeout=timedelta(seconds=60),
    # A worker that died over a letter holds those behind it no longer than this; sooner, one that is only busy would be
    # taken for dead, and people would read the letter twice.
    heartbeat_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)


class Notifier:
    """Says what is new, calls whom nobody answered for, and sends it all in order, in the background."""

    def __init__(self, account: Account, on_sent: Callable[[], None]) -> None:
        """Send an account's messages.

        Args:
            account: what is reported.
            on_sent: called whenever a message arrived, or never will.
        """
        self._account = account
        self._on_sent = on_sent
        self._sending: dict[str, asyncio.Task[None]] = {}

    def report_start(self) -> None:
        """Announce the incident, however soon it ends; one in which nothing ever fired is none."""
        if self._account.number == 0 and self._account.policy and not is_empty(self._account):
            self._announce("started")

    def report_news(self) -> None:
        """Announce what people should know now, and call who is to be called now."""
        account, now = self._account, workflow.now()
        if account.policy is None:
            return
        if account.ending:
            if account.number and account.ending_since is None:
                self._announce("resolved")
            account.ending_since = account.ending_since or now
        elif gist(account) != account.gist or now >= self._update_due(now):
            self._announce("update")
        if (due := next_call(account)) and now >= due:
            self._call(now)
        self._send()

    def next_due(self) -> datetime | None:
        """When there is something to be said next, if nothing happens."""
        if self._account.policy is None or self._account.ending:
            return None
        update = self._update_due(workflow.now())
        call = next_call(self._account)
        return min(update, call) if call else update

    @property
    def everything_is_said(self) -> bool:
        """Whether no letter waits."""
        return not any(outbox.waiting for outbox in self._account.outbox.values())

    def _update_due(self, now: datetime) -> datetime:
        assert self._account.policy is not None
        return (self._account.announced or now) + self._account.policy.rhythm.update_every

    def _call(self, now: datetime) -> None:
        account = self._account
        contact = next_contact(account)
        name = contact.name if contact else None
        account.calls = (*account.calls, Call(contact=name, at=now, rank=account.rank_now))
        account.decided(
            "escalate", "the runbook", now, f"called {name or 'everybody: there are no contacts'}"
        )
        self._announce("escalation", name, contact.channel if contact else None)

    def _announce(self, kind: Kind, contact: str | None = None, channel: str | None = None) -> None:
        account, now = self._account, workflow.now()
        assert account.policy is not None
        said = announcement(account, kind, now, contact)
        account.number, account.announced, account.gist = said.number, now, gist(account)
        for name in dict.fromkeys([*account.policy.channels, *([channel] if channel else [])]):
            outbox = account.outbox.setdefault(name, Outbox())
            outbox.waiting.append(said)
            if len(outbox.waiting) > MOST_WAITING:
                _leave_one_out(outbox)

    def _send(self) -> None:
        queue = ids.watch_queue(self._account.environment)
        for channel, outbox in self._account.outbox.items():
            sending = self._sending.get(channel)
            if outbox.waiting and (sending is None or sending.done()):
                self._sending[channel] = asyncio.create_task(self._deliver(channel, outbox, queue))

    async def _deliver(self, channel: str, outbox: Outbox, queue: str) -> None:
        """Send what waits for one channel, one after the other; what it refuses for good is said elsewhere."""
        while outbox.waiting:
            said = outbox.waiting[0]
            delivery = Delivery(announcement=said, channel=channel, thread=outbox.thread)
            words = f"Tell {channel}: {said.kind} #{said.number}"
            # On the queue of waits, so that a chat that does not answer takes no slot from a change.
            options = ActivityOptions(**{**DELIVER, "task_queue": queue})
            try:
                delivered = await workflow.execute_activity_method(
                    ChatActivities.announce, delivery, summary=words, **options
                )
            except ActivityError as error:
                outbox.lost += 1
                outbox.trouble = str(error.cause or error)[:300]
                self._refused(said, channel, outbox.trouble)
            else:
                outbox.sent += 1
                outbox.trouble = None
                outbox.thread = delivered.thread or outbox.thread
            outbox.waiting = [item for item in outbox.waiting if item.number != said.number]
            self._on_sent()

    def _refused(self, said: Announcement, channel: str, why: str) -> None:
        """Say by another channel what this one refuses for good, and call the next contact where it was a call."""
        account = self._account
        note_refusal(account, said, channel)
        if (elsewhere := next_channel(account, said)) and elsewhere != channel:
            account.decided(
                "redirect", "the runbook", workflow.now(), f"#{said.number} goes to {elsewhere}: {why}"
            )
            again = said.model_copy(update={"instead_of": why})
            account.outbox.setdefault(elsewhere, Outbox()).waiting.append(again)
            self._send()


def _leave_one_out(outbox: Outbox) -> None:
    """Leave out the oldest update that is not being sent right now; without one, the oldest of all."""

    def place(message: Announcement) -> tuple[bool, int]:
        return message.kind != "update", message.number

    outbox.waiting.remove(min(outbox.waiting[1:], key=place))
    outbox.lost += 1
