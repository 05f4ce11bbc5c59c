"""What an incident is sent: alerts, progress of procedures, and what people order."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from runbook_model.bounds import PROGRESS_BYTES, within
from runbook_model.fact import Fact
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


class Alert(Fact):
    """One alert, firing or resolved; what is long or strange in it was cut or refused before it came here."""

    fingerprint: str = Field(max_length=200)
    """Alertmanager's name of this alert: the same labels, the same fingerprint."""
    name: str = Field(max_length=200)
    status: Literal["firing", "resolved"]
    service: str
    environment: str
    severity: str = Field(default="unknown", max_length=200)
    """As the alert says it; the alert matrix has the last word."""
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    generator_url: str | None = None
    problem: str | None = None
    """Why it belongs to no target of the catalog, where it does not."""


class AlertBatch(Fact):
    """What one call of the webhook brings to one incident: the payload of the signal ``alerts``."""

    alerts: tuple[Alert, ...]
    received: AwareDatetime
