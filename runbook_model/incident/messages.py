"""What an incident is started with, and what alerts, people and procedures send to it."""

from __future__ import annotations

from pydantic import Field

from runbook_model.bounds import PROGRESS_BYTES, within
from runbook_model.messages import Message, Person, Said, Signable
from runbook_model.reports import Report

ALERTS = "alerts"
"""Signal: an ``AlertBatch``."""

CLOSE = "close"
"""Signal and update: a ``Closing``."""

PROCEDURE_PROGRESS = "procedure_progress"
"""Signal: a ``ProcedureProgress``, when something in the procedure changed that people should know."""

PROCEDURE_ENDED = "procedure_ended"
"""Signal: the last ``ProcedureProgress`` of a procedure."""

JOINED = "joined"
"""Signal that an incident sends to a procedure that it found running: ``Joined``."""


class Closing(Signable):
    """A person's word that the incident is over, and why it was."""

    by: Person
    root_cause: Said = Field(min_length=1, max_length=2000)


class Joined(Message):
    """Whom a procedure says how it goes from now on."""

    incident: str
    """Id of the workflow."""


class ProcedureProgress(Message):
    """How a procedure goes, in its own words."""

    id: str
    run_id: str
    report: Report


def slim(report: Report, most: int = PROGRESS_BYTES) -> Report:
    """Leave out of a procedure's page what its incident does not need: the page itself has it."""
    left_out = {"steps": (), "readings": (), "plan": None, "rejected": (), "decisions": ()}
    return within(report.model_copy(update=left_out), most)
