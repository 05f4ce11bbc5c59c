"""One reader for every wait of a worker: waits share batched calls to AWS under a rate budget.

However many procedures wait, AWS is asked at most ``RATE`` times a second, account and region, ten services a call. With a few
services each is read once a second; with more, each is read as often as the budget allows, and a reading that somebody
needs soon comes first.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

from runbook_model.errors import ThrottledError

RATE = 10.0
"""Calls a second: half of the 20 a second that AWS sustains for each of the actions that waits use."""
BATCH = 10
"""Services that one DescribeServices call takes."""
INTERVAL = 1.0
"""Seconds between two readings of a service while the budget allows."""
SLOWEST = 30.0
"""How many times slower everything gets by throttling, at most."""
IDLE_SHARE = 0.5
"""Share of the budget that readings take, at most, which nothing hurries for."""
REMEMBERED = 60.0
"""Seconds for which it is remembered when something was read that nobody asks for any more."""
AT_ONCE = 5
"""Calls that may be under way: one that AWS is slow to answer does not hold up the others."""

T = TypeVar("T")


class Hurry(Enum):
    """How soon a reading is needed."""

    CONFIRM = auto()
    """A first reading is to be confirmed: before all others, after half the usual time."""
    USUAL = auto()
    IDLE = auto()
    """A person decides meanwhile: a thousand of these leave half of the budget to others."""


class Budget:
    """Spaces the calls of one action in one account and region, for all clusters; AWS counts them so."""

    def __init__(self, rate: float = RATE) -> None:
        self.rate = rate
        self.slowdown = 1.0
        """Grows while AWS throttles, and shrinks again."""
        self._turns = asyncio.Lock()
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until a call may be made."""
        async with self._turns:
            await asyncio.sleep(max(0.0, self._next - _now()))
            self._next = _now() + self.slowdown / self.rate

    def received(self, error: Exception | None) -> None:
        """Learn from what came of a call."""
        if isinstance(error, ThrottledError):
            self.slowdown = min(SLOWEST, self.slowdown * 2)
        elif error is None:
            self.slowdown = max(1.0, self.slowdown / 2)


@dataclass
class _Wish(Generic[T]):
    """A reading of one thing that somebody waits for."""

    due: float
    first: bool
    idle: bool
    waiting: list[asyncio.Future[T | None]] = field(default_factory=list)
    context: Context = field(default_factory=copy_context)
    """Of who asked first: the call that reads for several belongs to the trace of one of them."""

    @property
    def wanted(self) -> bool:
        return any(not future.done() for future in self.waiting)


class Watcher(Generic[T]):
    """Reads the things of one kind that somebody waits for, such as the services of a cluster."""

    def __init__(
        self,
        describe: Callable[[tuple[str, ...]], Awaitable[dict[str, T]]],
        budget: Budget | None = None,
        *,
        batch: int = BATCH,
        interval: float = INTERVAL,
    ) -> None:
        """Watch by ``describe``, which reads up to ``batch`` things by name; a missing one is left out of its answer."""
        self._describe = describe
        self._budget = budget or Budget()
        self._batch = batch
        self._interval = interval
        self._wishes: dict[str, _Wish[T]] = {}
        self._read_at: dict[str, float] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._sooner = asyncio.Event()

    async def next_state(self, name: str, hurry: Hurry = Hurry.USUAL) -> T | None:
        """Wait for the next reading; None when there is nothing of that name.

        Raises:
            Exception: the reading failed; ask again if it is a RunbookError that is ``retryable``.
        """
        due = self._due(name, hurry)
        wish = self._wishes.setdefault(name, _Wish(due, first=False, idle=True))
        wish.due = min(wish.due, due)
        wish.first = wish.first or hurry is Hurry.CONFIRM
        wish.idle = wish.idle and hurry is Hurry.IDLE
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        wish.waiting.append(future)
        self._sooner.set()
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._read_while_wanted(), context=Context())
        return await future

    def _due(self, name: str, hurry: Hurry) -> float:
        last = self._read_at.get(name)
        if last is None:
            return _now()
        usual = self._interval * self._budget.slowdown
        if hurry is Hurry.CONFIRM:
            return last + usual / 2
        if hurry is Hurry.IDLE:
            idle = sum(wish.idle for wish in self._wishes.values())
            return last + max(usual, idle / self._batch / (self._budget.rate * IDLE_SHARE))
        return last + usual

    async def _read_while_wanted(self) -> None:
        while self._forget_who_left():
            left = min(wish.due for wish in self._wishes.values()) - _now()
            if left > 0:
                self._sooner.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._sooner.wait(), left)
                continue
            await self._budget.turn()
            if len(self._calls) >= AT_ONCE:
                await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
            batch = self._most_urgent()
            if batch:
                context = next(iter(batch.values())).context
                call = asyncio.create_task(self._read(batch), context=context)
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    def _forget_who_left(self) -> bool:
        """Drop what nobody waits for any more; return whether anything is left."""
        for name in [name for name, wish in self._wishes.items() if not wish.wanted]:
            del self._wishes[name]
        return bool(self._wishes)

    def _most_urgent(self) -> dict[str, _Wish[T]]:
        """Take the wishes of one call: those that are due, and with them what was not read just now, as it costs no more."""
        self._forget_who_left()
        now = _now()
        fresh = now - self._interval / 2
        may = [
            name
            for name, wish in self._wishes.items()
            if wish.due <= now or self._read_at.get(name, 0.0) <= fresh
        ]
        chosen = heapq.nsmallest(self._batch, may, key=lambda name: self._rank(name, now))
        self._read_at = {name: at for name, at in self._read_at.items() if now - at < REMEMBERED}
        self._read_at.update(dict.fromkeys(chosen, now))
        return {name: self._wishes.pop(name) for name in sorted(chosen)}

    def _rank(self, name: str, now: float) -> tuple[bool, float]:
        wish = self._wishes[name]
        return not (wish.first and wish.due <= now), wish.due

    async def _read(self, batch: dict[str, _Wish[T]]) -> None:
        found: dict[str, T] = {}
        failed: Exception | None = None
        try:
            found = await self._describe(tuple(batch))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, or they wait for ever
            failed = error
        self._budget.received(failed)
        for name, wish in batch.items():
            for future in wish.waiting:
                if future.done():
                    continue
                if failed:
                    future.set_exception(failed)
                else:
                    future.set_result(found.get(name))


def _now() -> float:
    return asyncio.get_running_loop().time()
