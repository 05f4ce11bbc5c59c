"""An event loop whose clock jumps to the next timer: what waits for time costs none, and a slow machine changes no figure."""

from __future__ import annotations

import asyncio
import functools
import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Ends a wait for a timer at once and moves the clock there."""

    def __init__(self) -> None:
        super().__init__(_Jumping(self))
        self.now = 0.0

    def time(self) -> float:
        """Return the seconds that passed by this loop's clock."""
        return self.now


def in_virtual_time(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """Run a test in a loop of its own whose clock jumps."""

    @functools.wraps(test)
    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test())

    return run


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._jumps = loop

    def select(self, timeout: float | None = None):
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._jumps.now += timeout
        return ready
