"""People are notified here; a channel that is down delays its own messages only, never a procedure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from temporalio import activity

from activities.telemetry.metric_names import MESSAGES
from runbook_model.catalog.catalog import LOG
from runbook_model.errors import CredentialsError, RunbookError
from runbook_model.incident.announcements import Delivered, Delivery, Notice

if TYPE_CHECKING:
    from activities.chat.channels import Channels
    from activities.chat.wording import Templates

log = logging.getLogger("runbook.chat")


class ChatActivities:
    """Notify people: at least once, with a mark by which a repeat is recognised."""

    def __init__(self, channels: Channels, templates: Templates) -> None:
        self._channels = channels
        self._templates = templates

    @activity.defn
    async def announce(self, delivery: Delivery) -> Delivered:
        """Say an announcement on one channel."""
        outlet = self._channels.open(delivery.channel)
        # In a thread: hostile text takes its time to be made harmless.
        words = await asyncio.to_thread(self._templates.announce, delivery.announcement, outlet.flavour)
        with _counted(delivery.channel), _final():
            return await outlet.send(words, delivery.thread, again=_is_retried())

    @activity.defn
    async def notify(self, notice: Notice) -> None:
        """Say a notice on every channel of its environment; it is tried again where not one of them took it."""
        # The same run may say the same again later, and so may the next one on its id.
        info = activity.info()
        mark = f"{notice.run}@{(info.workflow_run_id or '')[:8]}#{info.activity_id}"
        failures: list[RunbookError] = []
        names = self._channels.of(notice.target.partition("/")[0])
        for name in names:
            try:
                await self._notify(name, notice, mark)
            except RunbookError as error:
                log.warning("not delivered: %s", error)
                failures.append(error)
        if len(failures) < len(names):
            return
        if passing := [failure for failure in failures if failure.retryable]:
            raise passing[0]
        # Each refuses for good; the log takes everything.
        await self._notify(LOG, notice, mark)

    async def _notify(self, name: str, notice: Notice, mark: str) -> None:
        outlet = self._channels.open(name)
        words = self._templates.notice(notice, outlet.flavour, mark=mark)
        with _counted(name), _final():
            await outlet.send(words, None, again=_is_retried())


@contextmanager
def _final() -> Iterator[None]:
    """Let nobody wait for credentials that a person has to renew: what a channel refuses so is said elsewhere at once."""
    try:
        yield
    except CredentialsError as error:
        error.retryable = False
        raise


@contextmanager
def _counted(channel: str) -> Iterator[None]:
    """Count a message by whether its channel took it."""
    messages = MESSAGES.on(activity.metric_meter())
    try:
        yield
    except RunbookError:
        messages.add(1, {"channel": channel, "result": "failed"})
        raise
    messages.add(1, {"channel": channel, "result": "sent"})


def _is_retried() -> bool:
    return activity.info().attempt > 1
