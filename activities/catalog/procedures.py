"""The procedures of this worker, as runs and people ask about them."""

from __future__ import annotations

from temporalio import activity

from runbook_model.fact import Fact
from runbook_model.names.procedures import KnownProcedures
from runbook_model.reports import Problem


class Wanted(Fact):
    """A procedure that somebody started."""

    procedure: str


class ProcedureActivities:
    """Knows which procedures this worker has."""

    def __init__(self, known: KnownProcedures) -> None:
        self._known = known

    @activity.defn
    async def explain_unknown(self, wanted: Wanted) -> Problem:
        """Say why this worker does not have a procedure, and how to fix that."""
        message, fix = self._known.why_not(wanted.procedure)
        return Problem(kind="input", message=message, fix=fix)
