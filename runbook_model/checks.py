"""Checks of the setup: what was asked, what was found."""

from __future__ import annotations

from datetime import datetime

from pydantic import AliasChoices, Field

from runbook_model.catalog.catalog import Target
from runbook_model.catalog.policies import Channel, Environment
from runbook_model.fact import Fact
from runbook_model.release import ReleaseHistory, ServiceState


class Check(Fact):
    """One thing that must be in place."""

    environment: str | None = None
    """None: it is the same for all."""
    service: str | None = None
    """None: it is the same for every service of the environment."""
    name: str
    ok: bool | None
    """None: it is not configured, or cannot be told while something else is wrong."""
    detail: str
    fix: str | None = Field(default=None, validation_alias=AliasChoices("fix", "mend"))
    """What to do, when it is not ok; older drills call it by another name."""


class DoctorRequest(Fact):
    """Look at an environment, or at one service in it."""

    environment: str
    service: str | None = None


class Place(Fact):
    """An environment, as the worker's catalog has it."""

    environment: str
    where: Environment
    channels: tuple[Channel, ...] = ()
    """Where its incidents are told."""


class Found(Fact):
    """What there is to look at."""

    catalog: str
    """The file."""
    place: Place
    targets: tuple[Target, ...]


class Checks(Fact):
    """What was found."""

    checks: tuple[Check, ...]


class TargetChecks(Checks):
    """What was found of a target, and the facts that are left to judge."""

    service: ServiceState | None = None
    history: ReleaseHistory | None = None


class DrillRequest(Fact):
    """Find out whether a rollback would work in an environment now."""

    environment: str


class Known(Fact):
    """The last that was known for sure of one check."""

    service: str | None
    """None: what the services of the environment share."""
    name: str
    ok: bool


class Drilled(Fact):
    """What a drill found; the next one is compared with it."""

    environment: str
    at: datetime
    services: tuple[str, ...] = ()
    """All that the worker's catalog has there."""
    checks: tuple[Check, ...] = ()
    broke: tuple[Check, ...] = ()
    """What worked when it was last known, and no longer does."""
    mended: tuple[Check, ...] = ()
    """What did not work when it was last known, and does again."""
    since: datetime | None = None
    """When the drill was that it is compared with; None for the first."""
    known: tuple[Known, ...] = ()
    """What is remembered for the next drill: also of what could not be told this time."""
    untold: str | None = None
    """Why people could not be told what changed; the next drill tells them."""

    @property
    def would_work(self) -> bool:
        """Whether nothing was found that would keep a rollback from working."""
        return all(one.ok is not False for one in self.checks)


class LastDrill(Fact):
    """The drill before, if there was one that can still be read."""

    drill: Drilled | None = None

    @property
    def told(self) -> str:
        """What a person reads beside the step."""
        return f"the last one was at {self.drill.at:%Y-%m-%d %H:%M} UTC" if self.drill else "none before"
