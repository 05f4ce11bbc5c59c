"""How a story is shown: what happens, what is expected and whether it holds, and how long each part took."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbook_model.text.plain_text import unbroken
from starter.printing import console, line

if TYPE_CHECKING:
    from rich.text import Text


@dataclass(frozen=True)
class Expectation:
    """Something that a story says must be so."""

    what: str
    ok: bool
    found: str


class StoryBrokenError(Exception):
    """The story cannot continue: what it needs next did not happen."""


class StoryLog:
    """One telling of a story; on stdout, or on stderr when stdout is for a program."""

    def __init__(self, *, aside: bool) -> None:
        self._console = console(stderr=aside)
        self._began = time.monotonic()
        self.expectations: list[Expectation] = []
        self.parts: list[tuple[str, float]] = []

    @property
    def ok(self) -> bool:
        """Whether all held that was expected so far."""
        return all(expectation.ok for expectation in self.expectations)

    @property
    def seconds(self) -> float:
        """How long the telling has taken."""
        return time.monotonic() - self._began

    @contextmanager
    def part(self, title: str) -> Iterator[None]:
        """Tell one part of the story, and note how long it took."""
        self._console.print()
        self._console.print(line(title, "bold"))
        began = time.monotonic()
        try:
            yield
        finally:
            self.parts.append((title, time.monotonic() - began))

    def say(self, text: str, style: str = "") -> None:
        """Tell one thing."""
        self._console.print(line(f"{self.seconds:6.1f} s  {text}", style))

    def show(self, lines: Iterable[Text]) -> None:
        """Show part of a page."""
        for text in lines:
            text.pad_left(10)
            self._console.print(text)

    def expect(self, what: str, ok: object, found: object = "") -> None:
        """Say what must be so, and whether it is."""
        expectation = Expectation(what, bool(ok), unbroken(str(found)))
        self.expectations.append(expectation)
        more = f": {expectation.found}" if expectation.found else ""
        if expectation.ok:
            self.say(f"✓ {what}{more}", "green")
        else:
            self.say(f"✗ NOT AS EXPECTED: {what}{more}", "bold red")

    def need(self, what: str, ok: object, found: object = "") -> None:
        """Say what must be so, or the story ends here.

        Raises:
            StoryBrokenError: it is not.
        """
        self.expect(what, ok, found)
        if not ok:
            raise StoryBrokenError(what)
