"""One history as a course of things that happened: activities from beginning to end, messages, memos, timers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from activities.review.histories import Json, Recorded
    from activities.review.model import Cite


@dataclass
class Act:
    """An activity, from when it was wanted to how it ended."""

    name: str
    step: int | None
    """The number of its step on the page; None where it is none."""
    words: str
    given: Json
    begun: datetime
    cite: Cite
    ended: datetime | None = None
    end: Cite | None = None
    how: str = "open"
    """``done``, ``failed``, ``timed out``, ``cancelled``; ``open`` while it goes on."""
    result: Json = None
    attempts: int = 1
    why: str = ""
    """The last failure, also of one that was done in the end."""


@dataclass
class Heard:
    """A signal or an update that came in."""

    name: str
    given: Json
    at: datetime
    cite: Cite


@dataclass
class Noted:
    """A memo, or search attributes, that the run wrote."""

    values: dict[str, Json]
    at: datetime
    cite: Cite


@dataclass
class Course:
    """What one run did."""

    recorded: Recorded
    began: datetime
    cite: Cite
    latest: datetime
    """When the last thing happened that was read."""
    kind: str = ""
    request: dict[str, Json] = field(default_factory=dict)
    parent: str | None = None
    carried: bool = False
    """Whether it goes on with what an earlier run of the same id began."""
    acts: list[Act] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    memos: list[Noted] = field(default_factory=list)
    attributes: list[Noted] = field(default_factory=list)
    fired: list[tuple[datetime, str, Cite]] = field(default_factory=list)
    """Timers that ran out, by their summary."""
    stumbles: list[tuple[datetime, str, Cite]] = field(default_factory=list)
    """Workflow tasks that failed or timed out: a worker died, or code was wrong."""
    ended: datetime | None = None
    end: Cite | None = None
    how: str = "open"
    """``completed``, ``failed``, ``timed out``, ``cancelled``, ``terminated``, ``continued``, ``reviewed``."""
    result: dict[str, Json] = field(default_factory=dict)
    why: str = ""
    events: int = 0

    @property
    def workflow(self) -> str:
        """Its id."""
        return self.recorded.workflow

    @property
    def last(self) -> datetime:
        """When it ended, or when the last thing happened."""
        return self.ended or self.latest
