"""A load balancer per service, a stable port in front of tasks that come and go; and the everyday requests that reach it."""

from __future__ import annotations

import asyncio
import time

from sandbox.machine.wire import Connections, Message, WireError, request

REQUESTS_PER_SECOND = 25.0

TIMEOUT_SECONDS = 10.0

MOST_AT_ONCE = 200
"""Requests under way when a slow service makes them pile up; more are not sent, as real clients give up."""

BODY = b'{"test": "data"}'


class Load:
    """The clients of one environment; open loop, so a slow service gets as many requests as a quick one."""

    def __init__(self, address: str, requests_per_second: float = REQUESTS_PER_SECOND) -> None:
        self.requests_per_second = requests_per_second
        self._connections = Connections(address)
        self._message = request("POST", "/api/v1/process", address, BODY)
        self._under_way: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def set_rate(self, requests_per_second: float) -> None:
        """Send so many requests per second from now on; 0 sends none."""
        self.requests_per_second = requests_per_second
        self._changed.set()

    async def run(self) -> None:
        """Send requests until cancelled."""
        try:
            while True:
                self._changed.clear()
                if self.requests_per_second > 0:
                    await self._send_evenly()
                else:
                    await self._changed.wait()
        finally:
            for sending in self._under_way:
                sending.cancel()
            self._connections.close()

    async def _send_evenly(self) -> None:
        """Send at the present rate until it changes; after a stall do not catch up with a burst."""
        pause = 1 / self.requests_per_second
        due = time.monotonic()
        while not self._changed.is_set():
            if len(self._under_way) < MOST_AT_ONCE:
                sending = asyncio.create_task(self._send(self._message))
                self._under_way.add(sending)
                sending.add_done_callback(self._under_way.discard)
            due = max(due + pause, time.monotonic() - pause)
            await asyncio.sleep(due - time.monotonic())

    async def _send(self, message: Message) -> None:
        try:
            await self._connections.exchange(message, TIMEOUT_SECONDS)
        except (WireError, TimeoutError):
            return  # what the clients see is measured at the service, not here
