"""The incident's page as Markdown, for the Temporal UI's current details."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_model import ids
from runbook_model.text.plain_text import markdown
from workflows.incidents.report import IncidentReport
from workflows.page import details


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
