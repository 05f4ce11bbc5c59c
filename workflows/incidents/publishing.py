"""Where an incident is seen without asking it: search attributes, the memo, the details in the UI as Markdown, and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from activities.telemetry import metric_names
from runbook_model.incident.account import Account
from runbook_model.incident.messages import Alert
from runbook_model.names import ids
from runbook_model.reports import Checkpoint, State
from runbook_model.text.plain_text import markdown
from workflows.incidents.report import IncidentReport, report
from workflows.page.telling import details


def render(report: IncidentReport) -> str:
    """Write the page: where it stands, the alerts, who has it, and below it what every page shows."""
    return "\n".join(
        [*_lines(report), "", details.render(report, ids.incident_id(report.environment, report.service))]
    )


def _lines(report: IncidentReport) -> Iterator[str]:
    yield f"**{markdown(report.title)}** — {markdown(report.severity)}, {report.outcome or report.status}\n"
    yield f"- impact: {markdown(report.impact or 'unknown')}"
    yield f"- alerts: {report.firing} firing, {report.resolved} resolved"
    yield from (
        f"  - {markdown(f'{alert.name} ({alert.severity}, {alert.status}) {alert.words}')}"
        for alert in report.alerts[:10]
    )
    if report.acknowledged_by:
        yield f"- {markdown(report.acknowledged_by)} has it"
    elif report.next_call:
        yield f"- nobody has acknowledged it: {markdown(report.calls_next or 'everybody')} is called at {report.next_call:%H:%M:%S} UTC"
    if report.held:
        yield f"- held: {markdown(report.held)}"
    yield from (
        f"- {markdown(f'{channel} gets no messages: {why}')}" for channel, why in report.undelivered.items()
    )


class Publishing:
    """Keeps what is seen from outside as the account is; writes only what changed."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._checkpoint: Checkpoint | None = None
        self._published: dict[str, object] = {}

    def publish(self, *, over: bool = False) -> None:
        """Show how the incident stands."""
        page = report(self._account, workflow.now())
        wanted = {
            ids.SERVICE: page.service,
            ids.ENVIRONMENT: page.environment,
            ids.PROCEDURE: "incident",
            ids.STATE: State.DONE.value if over else page.state.value,
            ids.SEVERITY: page.severity,
        }
        if over and page.outcome:
            wanted[ids.OUTCOME] = page.outcome.value
        known = workflow.info().typed_search_attributes
        changes: list[SearchAttributeUpdate[str]] = [
            key.value_set(value) for key, value in wanted.items() if known.get(key) != value
        ]
        if changes:
            workflow.upsert_search_attributes(changes)
        self._memorize(page.checkpoint, page.summary)
        workflow.set_current_details(render(page))

    def refresh(self) -> None:
        """Show what costs no event: that people were notified."""
        workflow.set_current_details(render(report(self._account, workflow.now())))

    def _memorize(self, checkpoint: Checkpoint | None, summary: str) -> None:
        if checkpoint != self._checkpoint:
            self._checkpoint = checkpoint
            gate = checkpoint.model_dump(mode="json") if checkpoint else None
            workflow.upsert_memo({"checkpoint": gate})
        text: dict[str, object] = {"summary": summary, "times": self._times()}
        if text != self._published:
            self._published = text
            workflow.upsert_memo(text)

    def _times(self) -> dict[str, str | None]:
        """Return when it was what for the first time: lists of incidents have no more than this to reckon with."""
        account = self._account
        now = {
            "opened": account.opened,
            "acknowledged": account.acknowledged.at if account.acknowledged else None,
            "taken_up": account.remediations[0].began if account.remediations else None,
            "over": account.ending_since,
        }
        known: dict[str, str | None] = workflow.memo_value("times", {}, type_hint=dict[str, str | None])
        fresh = {name: at.isoformat() if at else None for name, at in now.items()}
        return {name: at if name == "over" else known.get(name) or at for name, at in fresh.items()}


def take_and_count(account: Account, alerts: Sequence[Alert], received: datetime) -> bool:
    """Take alerts into the account, and count what was news; returns whether that may change what is done."""
    book = account.alerts
    repeats, untracked = book.repeats, book.untracked
    stirs = book.take(alerts, received, workflow.now())
    known, no_room = book.repeats - repeats, book.untracked - untracked
    counter = metric_names.ALERTS.on(workflow.metric_meter())
    for result, count in (("news", len(alerts) - known - no_room), ("known", known), ("no-room", no_room)):
        counter.add(count, _target(account) | {"result": result})
    return stirs


def count_end(account: Account) -> None:
    """Count how long it took until somebody had it, or a procedure worked at it, and until it was over."""
    meter = workflow.metric_meter()
    began = [remediation.began for remediation in account.remediations[:1]]
    taken = [account.acknowledged.at] if account.acknowledged else []
    if first := min([*began, *taken], default=None):
        took = (first - account.opened).total_seconds()
        metric_names.ACKNOWLEDGED_AFTER.on(meter).record(took, _target(account))
    if account.ending and account.ending_since:
        took = (account.ending_since - account.opened).total_seconds()
        metric_names.RESOLVED_AFTER.on(meter).record(
            took, _target(account) | {"outcome": account.ending.outcome.value}
        )


def _target(account: Account) -> dict[str, str]:
    return {"environment": account.environment, "service": account.service}
