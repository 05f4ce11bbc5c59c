"""When the sandbox ends: on SIGINT or SIGTERM, with its parent, or when its stdin closes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

PARENT_CHECK_SECONDS = 0.5


class EndOfLife:
    """Notices that it is time to end; create it in the main thread, before anything is started."""

    def __init__(self, *, until_stdin_closes: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._due.set)
        self._parent = asyncio.create_task(self._watch_parent(os.getppid()))
        if until_stdin_closes:
            threading.Thread(target=self._read_stdin, daemon=True).start()

    async def wait(self) -> None:
        """Wait until it is time to end."""
        await self._due.wait()
        self._parent.cancel()

    async def _watch_parent(self, parent: int) -> None:
        """Poll for the parent: the kernel's own notice would come when only its starting *thread* ends."""
        while os.getppid() == parent:  # noqa: ASYNC110 - nobody would set an event for it
            await asyncio.sleep(PARENT_CHECK_SECONDS)
        self._due.set()

    def _read_stdin(self) -> None:
        while os.read(0, 4096):
            continue
        self._loop.call_soon_threadsafe(self._due.set)
