"""What people are sent of an incident: the fields of the page's three messages, before any channel renders them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from runbook_model.fact import Fact

UNKNOWN = "unknown"
"""What a field says that nobody knows."""


class Announcement(Fact):
    """One message about one incident; channels render it by their templates."""

    incident: str
    """Id of the workflow that speaks."""
    run: str = ""
    """Id of its first run: the next incident of the same target has the same id."""
    number: int
    """Counts the incident's messages; with the two above the mark by which a repeat is recognised."""
    kind: Literal["started", "update", "resolved", "escalation"]
    title: str
    """``High Error Rate: ai-processor in prod``."""
    ask: str | None = None
    """What a human must do next; the first line of the message where there is something."""
    service: str
    environment: str
    severity: str = UNKNOWN
    status: Literal["investigating", "identified", "mitigating", "resolved"]
    at: datetime
    started: datetime
    duration: timedelta | None = None
    impact: str = UNKNOWN
    observations: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    """Actions that were completed."""
    current_action: str = UNKNOWN
    next_steps: tuple[str, ...] = ()
    eta: str = UNKNOWN
    resolution: tuple[str, ...] = ()
    root_cause: str = UNKNOWN
    next_update: datetime | None = None
    links: dict[str, str] = Field(default_factory=dict)
    contact: str | None = None
    """The contact that the incident is escalated to."""
    instead_of: str | None = None
    """The channel that refuses it for good, with the reason: then it is said here instead."""

    @property
    def mark(self) -> str:
        """Distinguishes a repeat of this message from another one."""
        return f"{self.incident}{'@' if self.run else ''}{self.run[:8]}#{self.number}"


class Delivery(Fact):
    """One announcement for one channel of the catalog."""

    announcement: Announcement
    channel: str
    """Its name in the catalog; ``log`` is always there."""
    thread: str | None = None
    """The incident's thread there, as an earlier ``Delivered`` named it; None starts one."""


class Delivered(Fact):
    """What a channel answered."""

    detail: str
    """In words: where it was said, or where instead."""
    thread: str | None = None
    """The channel's own name of the incident's thread, for the messages after it."""

    @property
    def summary(self) -> str:
        """What a person reads of it."""
        return self.detail


class Notice(Fact):
    """Something that people should know now."""

    target: str
    """``<environment>/<service>``."""
    text: str
    run: str
    """Id of the run that speaks."""
    urgent: bool = False
