"""The one log of all that is asked of the sandbox's systems: AWS, Slack, the container engine, PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

from sandbox.ecs.names import Fields

System = Literal["aws", "slack", "docker", "postgresql"]
_CALLER = re.compile(r"run/(?P<run>\S+) activity/(?P<activity>\S+) attempt/(?P<attempt>\d+)")


@dataclass(frozen=True)
class Entry:
    """One call."""

    system: System
    service: str
    """Of the system; boto3's name where it is AWS."""
    action: str
    parameters: Fields
    caller: dict[str, str] | None
    """The run, activity and attempt that made it, where it says so."""
    error: str | None = None
    """The code that answered it, if any."""


def caller_of(user_agent: str) -> dict[str, str] | None:
    """Return the run, activity and attempt that a user agent names; None where it names none."""
    said = _CALLER.search(user_agent)
    return said.groupdict() if said else None


class CallLog:
    """Every call by anyone but the sandbox itself, in the order in which it was applied, whichever system it was for."""

    def __init__(self) -> None:
        self._kept: list[Fields] = []
        self._sources: list[Callable[[], Iterable[Entry]]] = []

    def read_before_each(self, source: Callable[[], Iterable[Entry]]) -> None:
        """Have what another program logs by itself taken over before anything else is added: so the order is right."""
        self._sources.append(source)

    def add(self, entry: Entry) -> None:
        """Record a call."""
        self._take_over()
        self._keep(entry)

    def entries(self, system: System | None = None) -> list[Fields]:
        """Return what was asked of all systems, or of one."""
        self._take_over()
        return [kept for kept in self._kept if system in {None, kept["system"]}]

    def _take_over(self) -> None:
        for source in self._sources:
            for entry in source():
                self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        at = datetime.now(UTC).isoformat()
        self._kept.append({"sequence": len(self._kept) + 1, "time": at, **asdict(entry)})
