"""One reader of ECS for every wait of a worker in a cluster: waits share DescribeServices calls under a rate budget.

However many procedures wait, AWS is asked at most ``RATE`` times a second, ten services a call. With a few services
each is read once a second; with more, each is read as often as the budget allows.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from activities.errors import ThrottledError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from activities.models import ServiceState

RATE = 10.0
"""Calls a second: half of the 20 a second that AWS sustains for DescribeServices."""
BATCH = 10
"""Services that one DescribeServices call takes."""
INTERVAL = 1.0
"""Seconds between two readings of a service while the budget allows."""
SLOWEST = 30.0
"""Seconds between two passes after throttling, at most."""


class Watcher:
    """Reads the services of one cluster that somebody waits for."""

    def __init__(
        self,
        describe: Callable[[tuple[str, ...]], Awaitable[dict[str, ServiceState]]],
        *,
        rate: float = RATE,
        interval: float = INTERVAL,
    ) -> None:
        """Watch by ``describe``, which reads up to ten services by name; a missing one is left out of its answer."""
        self._describe = describe
        self._pause = 1 / rate
        self._interval = self._fastest = interval
        self._waiting: defaultdict[str, list[asyncio.Future[ServiceState | None]]] = defaultdict(list)
        self._loop: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()

    async def next_state(self, service: str, *, soon: bool = False) -> ServiceState | None:
        """Wait for the next reading of a service; None when the cluster has none of that name.

        Args:
            soon: do not wait for the regular moment: a first steady reading is to be confirmed.

        Raises:
            Exception: the reading failed; ask again if it is a RunbookError that is ``retryable``.
        """
        future: asyncio.Future[ServiceState | None] = asyncio.get_running_loop().create_future()
        self._waiting[service].append(future)
        if soon:
            self._soon.set()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._read_while_wanted())
        return await future

    async def _read_while_wanted(self) -> None:
        while self._waiting:
            began = time.monotonic()
            wanted, self._waiting = self._waiting, defaultdict(list)
            names = sorted(name for name, futures in wanted.items() if any(not f.done() for f in futures))
            for start in range(0, len(names), BATCH):
                batch = tuple(names[start : start + BATCH])
                call_began = time.monotonic()
                await self._read(batch, {name: wanted[name] for name in batch})
                await asyncio.sleep(max(0.0, self._pause - (time.monotonic() - call_began)))
            await self._rest(began)

    async def _read(
        self, names: tuple[str, ...], futures: dict[str, list[asyncio.Future[ServiceState | None]]]
    ) -> None:
        found: dict[str, ServiceState] = {}
        failed: Exception | None = None
        try:
            found = await self._describe(names)
            self._interval = max(self._fastest, self._interval / 2)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, or they wait for ever
            failed = error
            if isinstance(error, ThrottledError):
                self._interval = min(SLOWEST, self._interval * 2)
        for name, waiting in futures.items():
            for future in waiting:
                if future.done():
                    continue
                if failed:
                    future.set_exception(failed)
                else:
                    future.set_result(found.get(name))

    async def _rest(self, began: float) -> None:
        """Sleep until the next pass; half as long when somebody wants a reading confirmed."""
        left = self._interval - (time.monotonic() - began)
        at_least = max(0.0, left - self._interval / 2)
        await asyncio.sleep(at_least)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._soon.wait(), max(0.0, left - at_least))
        self._soon.clear()
