"""An RDS instance as it was found."""

from __future__ import annotations

from datetime import datetime

from runbook_model.fact import Fact

AVAILABLE, REBOOTING = "available", "rebooting"


class Instance(Fact):
    """An instance as RDS tells it."""

    name: str
    status: str
    """``available``, ``rebooting``, ``stopped``, ``storage-full`` …"""
    engine: str = ""
    multi_az: bool = False
    restarted: datetime | None = None
    """When its newest event of a restart was, of those of the last hour."""

    @property
    def told(self) -> str:
        """What a person reads beside the step."""
        when = f", last restarted {self.restarted:%H:%M:%S} UTC" if self.restarted else ""
        return f"{self.name} is {self.status}{when}"
