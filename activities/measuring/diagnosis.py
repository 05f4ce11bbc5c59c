"""Read what causes are found from; causes are decided by workflows.

Every activity answers although its sources do not: what could not be read is in the result, with the reason.
Only what is wrong with the question itself, such as a service that the cluster does not have, is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from runbook_model.catalog.target import Target
from runbook_model.measured.revisions import RevisionsQuery, RevisionsRead
from runbook_model.measured.symptoms import (
    ErrorsRead,
    LatencyRead,
    LoadRead,
    LogsRead,
    ResourcesRead,
    TasksRead,
    UtilizationRead,
)

if TYPE_CHECKING:
    from activities.measuring.examining import Examination


class DiagnosisActivities:
    """Reads for a diagnosis; each is safe to repeat."""

    def __init__(self, examine: Examination) -> None:
        self._examine = examine

    @activity.defn
    async def read_errors(self, target: Target) -> ErrorsRead:
        """Read which requests fail, by type, and how it was before the present release."""
        return await self._examine.errors(target)

    @activity.defn
    def read_revisions(self, asked: RevisionsQuery) -> RevisionsRead:
        """Read what each of two releases did, while traffic is shifted between them."""
        return self._examine.revisions(asked)

    @activity.defn
    async def read_load(self, target: Target) -> LoadRead:
        """Read the rate of requests and the CPU, now and as usual."""
        return await self._examine.load(target)

    @activity.defn
    async def read_latency(self, target: Target) -> LatencyRead:
        """Read how slow answers are, which are the slowest, and how it was before the present release."""
        return await self._examine.latency(target)

    @activity.defn
    async def read_resources(self, target: Target) -> ResourcesRead:
        """Read what each task uses of its CPU and memory, how memory went, and which tasks ended by themselves."""
        return await self._examine.resources(target)

    @activity.defn
    async def read_utilization(self, target: Target) -> UtilizationRead:
        """Read CPU and memory of the service as CloudWatch has them."""
        return await self._examine.utilization(target)

    @activity.defn
    async def read_tasks(self, target: Target) -> TasksRead:
        """Read which tasks run, how healthy they are, and why others stopped."""
        return await self._examine.tasks(target)

    @activity.defn
    async def read_recent_logs(self, target: Target) -> LogsRead:
        """Read the error lines of the last minutes, redacted and bounded."""
        return await self._examine.logs(target)
