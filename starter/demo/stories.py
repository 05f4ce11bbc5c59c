"""The stories there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starter.demo import bad_release, connection_exhaustion

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starter.demo.stage import Stage


@dataclass(frozen=True)
class Story:
    """One story."""

    name: str
    procedure: str
    summary: str
    play: Callable[[Stage], Awaitable[None]]


STORIES = (
    Story(
        name="bad-release",
        procedure="rollback",
        summary="30 % errors after a release; put back while the worker is killed half-way",
        play=bad_release.play,
    ),
    Story(
        name="connection-exhaustion",
        procedure="database-issues",
        summary="a release forgets its database connections until none is left; exactly those are ended",
        play=connection_exhaustion.play,
    ),
)
