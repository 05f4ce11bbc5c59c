"""What pages need of the platform that a service runs on: one interface, so that each page is written once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from activities.measuring.diagnosis import DiagnosisActivities
from activities.postgres.activities import DatabaseActivities
from runbook_model.catalog.service_policies import Database
from runbook_model.measured.readings import Sample
from runbook_model.measured.symptoms import LogsRead, UtilizationRead
from runbook_model.plans import Plan
from runbook_model.releases.release import Release
from runbook_model.reports import Ending
from workflows.decisions.database import DatabaseSigns
from workflows.decisions.diagnosis import Diagnosis
from workflows.page.run import Run


@dataclass(frozen=True)
class Running:
    """What a service runs."""

    release: Release
    restartable: tuple[str, ...] = ()
    """Services that a person may restart one by one: it and what it depends on that is down; empty where only it can be."""


@dataclass(frozen=True)
class Surroundings:
    """What a service runs among."""

    lines: tuple[str, ...] = ()
    """What was seen, for people."""
    explain: Callable[[Diagnosis], Diagnosis] = lambda found: found
    """Returns a diagnosis, or what is seen here to be behind it."""


@dataclass(frozen=True)
class Outage:
    """What the platform says of a service that does not answer."""

    release: Release
    name_cause: Callable[[LogsRead, Sample], Diagnosis]
    """Names the cause, from what the logs and users see too."""


class Platform(ABC):
    """The platform of a run's service; what a page asks of it is read, changed and waited for here."""

    no_rollback: ClassVar[str | None] = None
    """Why an earlier release cannot be put back, where that is so."""
    no_scaling: ClassVar[str | None] = None
    """Why a service cannot be scaled, where that is so."""
    one_machine: ClassVar[bool] = False
    """Whether the service shares one machine with what it depends on."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.page = run.page
        self.target = run.target

    @abstractmethod
    async def read_running(self, words: str) -> Running:
        """Read what runs."""

    @abstractmethod
    async def look_at_outage(self) -> Outage:
        """Look at what should be running, and why it is not."""

    @abstractmethod
    async def look_around(self) -> Surroundings:
        """Look at what the service runs among, as far as the platform knows."""

    async def read_recent_logs(self) -> LogsRead:
        """Read the service's recent errors in its logs."""
        words = "Read the recent errors in the logs"
        return await self.page.read(words, DiagnosisActivities.read_recent_logs, self.target)

    @abstractmethod
    async def read_utilization(self) -> UtilizationRead:
        """Read what the platform itself measured of CPU and memory."""

    @abstractmethod
    async def read_database_signs(self, policy: Database) -> DatabaseSigns:
        """Look whether the service's database is in trouble."""

    async def connect_to_database(self) -> tuple[bool, str]:
        """Connect again as the service does; returns whether the database serves, and what came of it."""
        connected = await self.page.read(
            "Connect to the database", DatabaseActivities.test_connection, self.target
        )
        return connected.serves, connected.summary

    @abstractmethod
    async def plan_restart(self, services: Sequence[str], because: tuple[str, ...]) -> Plan | Ending:
        """Plan a restart, from a fresh reading.

        Args:
            services: which, and in which order, where the platform can restart single ones.
            because: the evidence.
        """

    @abstractmethod
    async def release_of(self, plan: Any) -> Release:
        """Return the release that a restart is about."""

    @abstractmethod
    async def restart(self, plan: Any) -> Any:
        """Make the restart of a plan; returns what to wait for."""

    @abstractmethod
    async def await_restarted(self, plan: Any, made: Any) -> datetime | Ending:
        """Wait until only what was restarted runs; returns since when, or how it ends where it does not come up."""

    async def unless_replaced(self, plan: Any, made: Any, ending: Ending) -> Ending:  # noqa: ARG002 - not every platform can tell
        """Return the ending, or another one where something else runs by now than was verified."""
        return ending
