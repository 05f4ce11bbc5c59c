"""What an incident does in the background: signals on their way, and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

from temporalio.exceptions import FailureError


class Background:
    """Keeps what runs in the background until it is done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def is_sending(self) -> bool:
        """Whether a signal is on its way: Temporal drops what a run sent that is over before it arrived."""
        return bool(self._sending)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something, and keep it until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def send(self, signal: Awaitable[None]) -> None:
        """Send a signal; whoever is over need not get it."""
        task = self.run(_sent(signal))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


async def _sent(signal: Awaitable[None]) -> None:
    with suppress(FailureError):
        await signal
