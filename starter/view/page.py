"""The page of a run on a terminal: what was done, what happens now, and who has to answer since when."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from rich.console import Group
from rich.text import Text

from runbook_model.plans import Plan, PlannedCall
from runbook_model.reports import Change, Checkpoint, Decision, Outcome, Report, State, Step, Task
from runbook_model.text.plain_text import unbroken
from starter.client.run_view import RunView
from starter.names import short_id
from starter.printing import ago, clock, line, span
from workflows.incidents.report import IncidentReport

SIGNS = {
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("-", "yellow"),
    "running": ("▸", "cyan"),
}

SIGNS_OF_TASKS = {"open": ("☐", "yellow"), "done": ("✓", "green"), "skipped": ("-", "yellow")}

COLOUR_OF_STATE = {
    State.RUNNING: "cyan",
    State.AWAITING_APPROVAL: "bold yellow",
    State.VERIFYING: "cyan",
    State.PAUSED: "yellow",
}

GOOD = frozenset({Outcome.RECOVERED, Outcome.NOT_NEEDED, Outcome.PLANNED})
ALERTS_SHOWN = 10
"""How many alerts, and how many decisions, an incident's page lists."""
DECISIONS_SHOWN = frozenset({"note", "abort", "pause", "resume", "reopen"})
"""Decisions that the page does not show anyhow."""
COLOUR_OF_SEVERITY = {"critical": "bold red", "warning": "yellow"}


def render(view: RunView) -> Group:
    """Lay out the whole page."""
    return Group(*page_lines(view))


def page_lines(view: RunView) -> list[Text]:
    """Return the lines of the whole page."""
    report = view.report
    lines = [
        *_head(view),
        *(_incident_lines(report) if isinstance(report, IncidentReport) else ()),
        *_steps(report.steps),
        *_section("Found", (line(f"  {found}") for found in report.findings)),
    ]
    if report.checkpoint:
        lines += [Text(), *checkpoint(report.checkpoint, view.run.id)]
    lines += _section("Changed", map(_change, report.changes))
    lines += _section("Tasks for people", _tasks(report))
    lines += _section("Measured last", _readings(report))
    return [*lines, *_rejections(report), *_end(view)]


def checkpoint(gate: Checkpoint, workflow_id: str) -> Iterator[Text]:
    """Lay out what a person is asked, and how to answer."""
    have, need = len(gate.approvals), gate.approvals_needed
    yield line(gate.question, "bold yellow")
    if gate.plan:
        yield from plan(gate.plan, gate.plan_hash, asked=gate.question)
    if gate.task:
        yield from _look_at(gate.task)
    names = ", ".join(approval.by for approval in gate.approvals)
    so_far = f"{have} of {need} approvals" + (f" (by {names})" if names else "")
    yield line(f"  {so_far}; asked {ago(gate.opened)} ago, open until {clock(gate.closes)}")
    if gate.abort_means:
        yield line(f"  abort would: {gate.abort_means}")
    several, short = len(gate.options) > 1, short_id(workflow_id)
    sign = " --sign KEYFILE" if gate.asked_by and gate.asked_by.signed else ""
    for option in gate.options:
        said = (
            f"{option}: runbook approve {short} --option {option}"
            if several
            else f"yes: runbook approve {short}"
        )
        yield line(f"  {said} --as YOU{sign}", "green")
    yield line(f"  {'abort' if several else 'no'}: runbook abort {short} --reason WHY --as YOU", "red")


def plan(planned: Plan, plan_hash: str, asked: str = "") -> Iterator[Text]:
    """Lay out a plan: what, why, the exact calls, and what it does not bring back; what was ``asked`` before is not repeated."""
    yield line(f"  plan {plan_hash}: {planned.headline}", "bold")
    if planned.before and planned.after:
        yield line(f"    from {planned.before.name}")
        yield line(f"    to   {planned.after.name}")
    for reason in planned.because:
        yield line(f"    because {reason}")
    for call in planned.calls:
        yield line(f"    call {_call(call)}")
    for loss in planned.not_restored:
        yield line(f"    not restored: {loss}", "yellow")
    if planned.needs_yes and planned.needs_yes not in asked:
        yield line(f"    needs a person's approval: {planned.needs_yes}", "yellow")


def _head(view: RunView) -> Iterator[Text]:
    report, run = view.report, view.run
    state = report.outcome.value if report.outcome else report.state.value
    title = Text.assemble(
        (unbroken(f"{report.procedure} of {report.service} in {report.environment}"), "bold"),
        "  ",
        (state, _colour(report)),
    )
    if not view.live and run.is_open:
        title.append("  no worker answers", "red")
    yield title
    why = f": {report.reason}" if report.reason else ""
    verb = "opened" if isinstance(report, IncidentReport) else "asked"
    yield line(f"{verb} by {report.requested_by} at {clock(run.started)} ({ago(run.started)} ago){why}")
    part = f"  part of {run.parent}" if run.parent else ""
    yield line(f"{run.id}  run {run.run_id}{part}", "dim")
    yield line(report.summary)


def _incident_lines(report: IncidentReport) -> Iterator[Text]:
    """Lay out an incident's own lines."""
    eta = "" if report.outcome else f"; ETA: {report.eta or 'unknown'}"
    yield line(
        f"severity {report.severity}, {report.outcome or report.status}; impact: {report.impact or 'unknown'}{eta}",
        COLOUR_OF_SEVERITY.get(report.severity, ""),
    )
    yield from _responder(report)
    for decision in [item for item in report.decisions if item.kind in DECISIONS_SHOWN][-ALERTS_SHOWN:]:
        yield line(f"{clock(decision.at)}  {decided(decision)}", "dim")
    if report.held:
        yield line(f"nothing is started automatically: {report.held}", "yellow")
    if report.alerts:
        yield Text()
        yield line(f"Alerts: {report.firing} firing, {report.resolved} resolved", "bold")
    for alert in report.alerts[:ALERTS_SHOWN]:
        words = f": {alert.words}" if alert.words else ""
        colour = COLOUR_OF_SEVERITY.get(alert.severity, "") if alert.status == "firing" else "dim"
        yield line(f"  {alert.status}  {alert.name}{words}  since {clock(alert.since)}", colour)
    if (more := report.firing + report.resolved - min(len(report.alerts), ALERTS_SHOWN)) > 0:
        yield line(f"  and {more} more", "dim")
    for channel, why in report.undelivered.items():
        yield line(f"not delivered: {channel}: {why}", "yellow")


def decided(decision: Decision) -> str:
    """Say who decided what, and what was said with it."""
    who = "asked again" if decision.kind == "void" else f"{decision.kind} by {decision.by}"
    return f"{who}: {decision.detail}" if decision.detail else who


def _responder(report: IncidentReport) -> Iterator[Text]:
    if report.state is State.DONE or report.outcome:
        return
    if report.acknowledged_by:
        yield line(f"{report.acknowledged_by} has acknowledged it", "green")
    elif report.next_call:
        contact = report.calls_next or "everybody"
        yield line(f"nobody has acknowledged it: {contact} is called at {clock(report.next_call)}", "yellow")
    if report.called:
        yield line(f"called so far: {', '.join(report.called)}")


def _colour(report: Report) -> str:
    if report.outcome:
        return "bold green" if report.outcome in GOOD else "bold red"
    return COLOUR_OF_STATE.get(report.state, "")


def _steps(steps: tuple[Step, ...]) -> Iterator[Text]:
    heading = None
    for step in steps:
        if step.heading != heading:
            heading = step.heading
            yield Text()
            yield line(heading, "bold")
        sign, colour = SIGNS[step.state]
        took = (
            f"{span(step.ended - step.started)}"
            if step.ended
            else f"since {clock(step.started)}, {ago(step.started)}"
        )
        detail = f": {step.detail}" if step.detail and step.detail != "Cancelled" else ""
        yield Text.assemble("  ", (sign, colour), " ", unbroken(f"{step.step}{detail}"), (f"  {took}", "dim"))


def _call(call: PlannedCall) -> str:
    parameters = " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in call.parameters.items()
    )
    return f"{call.service} {call.action} {parameters}"


def _section(title: str, lines: Iterable[Text]) -> Iterator[Text]:
    """Lay out lines under a title; neither where there are none."""
    for place, text in enumerate(lines):
        if place == 0:
            yield Text()
            yield line(title, "bold")
        yield text


def _change(change: Change) -> Text:
    undone = f" ({change.undone})" if change.undone else ""
    return line(f"  {change.action}: {change.before} -> {change.after}{undone}")


def _tasks(report: Report) -> Iterator[Text]:
    """Lay out what people did and have to do; what is asked just now stands with its question."""
    asked = report.checkpoint.task if report.checkpoint else None
    for task in (task for task in report.tasks if task != asked):
        sign, colour = SIGNS_OF_TASKS[task.state]
        yield Text.assemble(
            "  ",
            (sign, colour),
            " ",
            unbroken(f"{task.kind}: {task.what}"),
            (f"  {unbroken(task.summary)}", "dim"),
        )
        if task.state == "open":
            yield from _look_at(task)


def _look_at(task: Task) -> Iterator[Text]:
    if task.why:
        yield line(f"    because {task.why}")
    for found in task.look_at:
        yield line(f"    look at {found}")
    for name, address in task.links.items():
        yield line(f"    see {name}: {address}", "dim")


def _readings(report: Report) -> Iterator[Text]:
    newest = {reading.kind: reading for reading in report.readings}
    for reading in newest.values():
        colour = {"good": "green", "bad": "red"}.get(reading.quality.value, "yellow")
        yield Text.assemble(
            "  ",
            (reading.quality.value, colour),
            unbroken(f" {reading.kind}: {reading.detail}"),
            (f"  {clock(reading.at)}", "dim"),
        )


def _rejections(report: Report) -> Iterator[Text]:
    for rejected in report.rejected:
        yield line(
            f"not used: {rejected.message} at {clock(rejected.at)}: {rejected.why} (got {rejected.received})",
            "yellow",
        )


def _end(view: RunView) -> Iterator[Text]:
    report, run = view.report, view.run
    if report.error and report.error.message.rstrip(".") not in report.summary:
        yield Text()
        yield line(f"{report.error.kind}: {report.error.line}", "red")
    if report.trace_id:
        yield Text()
        yield line(f"trace {report.trace_id}{f': {report.trace}' if report.trace else ''}", "dim")
    if run.ended:
        yield Text()
        yield line(f"ended at {clock(run.ended)} after {span(run.ended - run.started)}", "dim")
