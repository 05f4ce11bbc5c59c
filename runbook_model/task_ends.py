"""Tasks as ECS tells them, and how they ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from runbook_model.evidence import Evidence
from runbook_model.release import Fact


class TaskSeen(Fact):
    """One task as ECS tells it."""

    task: str
    release: str
    """``family:revision``."""
    status: str
    health: Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"] = "UNKNOWN"
    started: datetime | None = None
    stopped: datetime | None = None
    stop_code: str | None = None
    reason: str = ""
    """Why it stopped, with its containers' reasons."""
    exit_codes: tuple[int, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it ended by itself or was found sick; not whether somebody or a deployment stopped it."""
        by_itself = self.stop_code in {"EssentialContainerExited", "TaskFailedToStart"}
        return self.stopped is not None and (by_itself or self.sick)

    @property
    def sick(self) -> bool:
        """Whether it failed its health checks."""
        return self.health == "UNHEALTHY" or "health check" in self.reason.lower()

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed for the memory that it took."""
        killed = self.stop_code == "EssentialContainerExited" and 137 in self.exit_codes
        return killed or "outofmemory" in self.reason.replace(" ", "").lower()

    @property
    def lived(self) -> timedelta | None:
        """From its start to its stop; None when it never started or still runs."""
        return self.stopped - self.started if self.started and self.stopped else None


class Restarts(Evidence):
    """Tasks that ended by themselves lately."""

    count: int = 0
    out_of_memory: int = 0
    reasons: tuple[str, ...] = ()
    """Newest first, without repetitions."""

    @property
    def brief(self) -> str:
        """How many."""
        return f"{self.count}, of which {self.out_of_memory} for their memory"
