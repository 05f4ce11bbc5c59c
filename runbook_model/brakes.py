"""The brake of an environment: what it knows, what it is asked, and what it answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from runbook_model.catalog.policies import Brake
from runbook_model.fact import Fact
from runbook_model.reports import Rejection
from runbook_model.text.durations import Duration


class Block(Fact):
    """Why nothing is started automatically now."""

    kind: Literal["person", "rate", "storm", "cooling", "unreachable"]
    """``person``: until it is taken off. ``rate`` and ``storm``: a person decides. ``cooling``: until a moment."""
    why: str
    until: datetime | None = None


class Switched(Fact):
    """A brake that a person put on."""

    service: str | None
    """None for the whole environment."""
    by: str
    reason: str
    at: datetime
    until: datetime | None = None
    """When it lapses: an agent's, where decisions are signed."""

    @property
    def summary(self) -> str:
        """Who put it on, and why."""
        return f"{self.by} switched the brake on at {self.at:%Y-%m-%d %H:%M} UTC: {self.reason}"


class AutomaticStart(Fact):
    """A procedure that was started automatically."""

    key: str
    service: str
    procedure: str
    began: datetime
    ended: datetime | None = None


class BrakeBook(Fact):
    """What a brake knows: who holds it, and what was started automatically lately."""

    on: tuple[Switched, ...] = ()
    starts: tuple[AutomaticStart, ...] = ()
    switched_off: int = 0
    """How often somebody switched it off: the ``sequence`` of the next signed order to."""

    @property
    def next_lapse(self) -> datetime | None:
        """When the next brake lapses by itself; None where none does."""
        return min((item.until for item in self.on if item.until), default=None)

    def holds(self, service: str) -> Block | None:
        """Say which person's brake holds a service's changes, if one does."""
        for item in self.on:
            if item.service in {None, service}:
                return Block(kind="person", why=item.summary)
        return None


class BrakeRequest(Fact):
    """Keep the brake of an environment."""

    environment: str
    book: BrakeBook = BrakeBook()


class Reservation(Fact):
    """May this be started automatically? If so, it counts from now on."""

    key: str
    """Names it: asked again, it is the same."""
    environment: str
    service: str
    procedure: str
    limits: Brake = Brake()
    cool_down: Duration = timedelta(minutes=10)
    cool_down_max: Duration = timedelta(hours=4)


class Question(Fact):
    """Asks whether a change may be made by itself."""

    environment: str
    service: str


class BrakeAnswer(Fact):
    """What the brake says."""

    held: Block | None = None

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return f"held: {self.held.why}" if self.held else "the brake is off"


class BrakeReport(Fact):
    """A brake as it stands: the answer to ``status``."""

    environment: str
    book: BrakeBook = BrakeBook()
    rejected: tuple[Rejection, ...] = ()
    seen: tuple[str, ...] = Field(default=())
    """Ids of the newest decisions that were taken."""
