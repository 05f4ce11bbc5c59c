"""What the page of an incident shows beside what every page does: alerts, who has it, why nothing is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from runbook_model.reports import State
from starter.printing import clock, line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflows.incidents.report import IncidentReport

SHOWN = 10
SAID = frozenset({"note", "abort", "pause", "resume", "reopen"})
"""Decisions that the page does not show anyhow."""
COLOURS = {"critical": "bold red", "warning": "yellow"}


def incident_lines(report: IncidentReport) -> Iterator[Text]:
    """Lay out an incident's own lines."""
    eta = "" if report.outcome else f"; ETA: {report.eta or 'unknown'}"
    yield line(
        f"severity {report.severity}, {report.outcome or report.status}; impact: {report.impact or 'unknown'}{eta}",
        COLOURS.get(report.severity, ""),
    )
    yield from _who(report)
    for decision in [one for one in report.decisions if one.kind in SAID][-SHOWN:]:
        yield line(f"{clock(decision.at)}  {decision.kind} by {decision.by}: {decision.detail}", "dim")
    if report.held:
        yield line(f"nothing is begun by itself: {report.held}", "yellow")
    if report.alerts:
        yield Text()
        yield line(f"Alerts: {report.firing} firing, {report.resolved} resolved", "bold")
    for alert in report.alerts[:SHOWN]:
        words = f": {alert.words}" if alert.words else ""
        colour = COLOURS.get(alert.severity, "") if alert.status == "firing" else "dim"
        yield line(f"  {alert.status}  {alert.name}{words}  since {clock(alert.since)}", colour)
    if (more := report.firing + report.resolved - min(len(report.alerts), SHOWN)) > 0:
        yield line(f"  and {more} more", "dim")
    for channel, why in report.undelivered.items():
        yield line(f"not told: {channel}: {why}", "yellow")


def _who(report: IncidentReport) -> Iterator[Text]:
    if report.state is State.DONE or report.outcome:
        return
    if report.acknowledged_by:
        yield line(f"{report.acknowledged_by} has it", "green")
    elif report.next_call:
        whom = report.calls_next or "everybody"
        yield line(f"nobody has it: {whom} is called at {clock(report.next_call)}", "yellow")
    if report.called:
        yield line(f"called so far: {', '.join(report.called)}")
