"""Accounts of incidents as tests need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runbook_model.catalog.incident_policy import IncidentPolicy
from runbook_model.catalog.policies import RUNBOOK_MATRIX, Contact, Incidents
from runbook_model.incident.account import Account, Remediation
from runbook_model.incident.messages import Alert
from runbook_model.reports import Change, Checkpoint, Outcome, Report, State

T0 = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = IncidentPolicy(
    matrix=RUNBOOK_MATRIX,
    contacts=(Contact(name="SRE", channel="pager"), Contact(name="Lead", channel="chat")),
    rhythm=Incidents(),
)


def at(minutes: float) -> datetime:
    """So many minutes after the incident was opened."""
    return T0 + minutes * MINUTE


def alert(name: str, *, status: str = "firing", starts: float = 0, **fields: object) -> Alert:
    """An alert of the target."""
    return Alert(
        **{
            "fingerprint": name,
            "name": name,
            "status": status,
            "service": "shop",
            "environment": "prod",
            "starts_at": at(starts),
            **fields,
        }
    )


def incident(*names: str, **fields: object) -> Account:
    """An incident whose alerts fired at its opening."""
    account = Account(
        **{
            "service": "shop",
            "environment": "prod",
            "first_run": "run-1",
            "opened": T0,
            "opened_by": "alerts",
            "policy": POLICY,
            "policy_at": T0,
            **fields,
        }
    )
    return fires(account, *names, minutes=0)


def fires(account: Account, *names: str, minutes: float, **fields: object) -> Account:
    """Alerts fire."""
    return _comes(account, [alert(name, starts=minutes, **fields) for name in names], minutes)


def resolves(account: Account, *names: str, minutes: float) -> Account:
    """Alerts are resolved."""
    return _comes(account, [alert(name, status="resolved") for name in names], minutes)


def _comes(account: Account, alerts: list[Alert], minutes: float) -> Account:
    account.alerts.take(alerts, at(minutes), at(minutes))
    account.alerts.place(account.policy.matrix if account.policy else ())
    return account


def ran(
    account: Account,
    procedure: str = "high-error-rate",
    *,
    outcome: str | None = None,
    began: float = 0,
    ended: float | None = None,
    changes: int = 0,
    gate: Checkpoint | None = None,
    **fields: object,
) -> Account:
    """A procedure ran, or runs."""
    report = Report(
        procedure=procedure,
        service="shop",
        environment="prod",
        requested_by="alert",
        state=State.RUNNING,
        outcome=Outcome(outcome) if outcome else None,
        summary=f"{procedure} is {outcome}.",
        checkpoint=gate,
        changes=(Change(action="UpdateService", before="2", after="1"),) * changes,
    )
    account.begin(
        Remediation(
            **{
                "id": "remediation/prod/shop",
                "run_id": f"r{len(account.remediations)}",
                "procedure": procedure,
                "why": "alert HighErrorRate",
                "ours": True,
                "began": at(began),
                "ended": at(ended) if ended is not None else None,
                "report": report,
                **fields,
            }
        )
    )
    return account


def gate(minutes: float) -> Checkpoint:
    """A checkpoint that was opened then."""
    return Checkpoint(question="Put it back?", plan_hash="h", opened=at(minutes), closes=at(minutes + 30))
