"""The page as Markdown, for the Temporal UI's current details."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby

from runbook_model.plans import Plan
from runbook_model.reports import Change, Checkpoint, Report, Step, Task
from runbook_model.text.plain_text import code, link, markdown

COMMAND = re.compile(
    r"\brunbook (?:abort|ack|approve|close|note|open|resume|review|show|start|watch)(?: (?!or\b)[^\s,;.]+)+"
)
"""In a sentence. The UI makes one dash of `--`, but not in code."""
MARK = {"running": "▶", "done": "✔", "failed": "✘", "cancelled": "○"}

MARK_OF_TASK = {"open": "☐", "done": "☑", "skipped": "☒"}


def render(report: Report, run: str) -> str:
    """Write the page: where it stands, the gate if one is open, the steps, the changes, the tasks.

    Args:
        report: the page.
        run: the id at which people answer.
    """
    return "\n".join(_lines(report, run))


def _lines(report: Report, run: str) -> Iterator[str]:
    title = markdown(f"{report.procedure} · {report.service} in {report.environment}")
    yield f"**{title}** — {report.outcome or report.state}\n"
    yield markdown(report.summary, COMMAND) + "\n"
    if report.checkpoint:
        yield from _checkpoint(report.checkpoint, run)
    yield from (f"- found: {markdown(finding)}" for finding in report.findings)
    for heading, steps in groupby(report.steps, key=lambda step: step.heading):
        yield f"\n### {markdown(heading)}\n"
        yield from (_step(step) for step in steps)
    if report.changes:
        yield "\n### Changes\n"
        yield from (_change(change) for change in report.changes)
    if report.tasks:
        yield "\n### Tasks for people\n"
    for task in report.tasks:
        yield f"- {MARK_OF_TASK[task.state]} {task.kind}: {markdown(f'{task.what} ({task.summary})')}"
        if task.state == "open":
            yield from (f"  {line}" for line in _look_at(task))
    if report.trace_id:
        yield f"\ntrace: {link(report.trace_id, report.trace)}\n"
    for rejection in report.rejected:
        yield f"- not used: {code(rejection.message)}: {markdown(rejection.why)}"


def _checkpoint(checkpoint: Checkpoint, run: str) -> Iterator[str]:
    yield f"### Waiting for a person: {markdown(checkpoint.question)}\n"
    if checkpoint.task:
        yield from _look_at(checkpoint.task)
    given = ", ".join(approval.by for approval in checkpoint.approvals) or "nobody yet"
    yield f"- approvals: {len(checkpoint.approvals)} of {checkpoint.approvals_needed} ({markdown(given)})"
    yield f"- closes {checkpoint.closes:%Y-%m-%d %H:%M:%S} UTC"
    yield f"- abort: {markdown(checkpoint.abort_means)}"
    yield from (f"- answer: {code(command)}" for command in commands(checkpoint, run))
    yield f"- or the signal `approve` with {code(json.dumps(_answer(checkpoint)))}"
    if checkpoint.plan:
        yield from plan_lines(checkpoint.plan)


def commands(checkpoint: Checkpoint, run: str) -> Iterator[str]:
    """Write the commands that answer, one for each option."""
    if checkpoint.options == ("approve",):
        yield f"runbook approve {run}"
        return
    yield from (f"runbook approve {run} --option {option}" for option in checkpoint.options)


def _answer(checkpoint: Checkpoint) -> dict[str, str]:
    answer = {"by": "your name", "plan_hash": checkpoint.plan_hash}
    return (
        answer if checkpoint.options == ("approve",) else answer | {"option": " | ".join(checkpoint.options)}
    )


def _look_at(task: Task) -> Iterator[str]:
    """Write why a task is there, what was found, and where more is to be seen."""
    if task.why:
        yield f"- because {markdown(task.why)}"
    yield from (f"- look at: {markdown(found)}" for found in task.look_at)
    yield from (f"- see {link(name, address)}" for name, address in task.links.items())


def plan_lines(plan: Plan) -> Iterator[str]:
    """Write a plan: what it does, call by call, why, and what it does not bring back."""
    yield f"\n**{markdown(plan.headline)}**\n"
    if plan.before and plan.after:
        yield f"- before: {markdown(plan.before.name)}"
        yield f"- after: {markdown(plan.after.name)}"
    for call in plan.calls:
        parameters = ", ".join(f"{name}={json.dumps(value)}" for name, value in call.parameters.items())
        yield f"- call: {code(f'{call.service} {call.action} {parameters}')}"
    for label, lines in (
        ("because", plan.because),
        ("not restored", plan.not_restored),
        ("then", plan.afterwards),
    ):
        yield from (f"- {label}: {markdown(line)}" for line in lines)
    if plan.needs_yes:
        yield f"- needs a person's approval: {markdown(plan.needs_yes)}"


def _step(step: Step) -> str:
    detail = f": {step.detail}" if step.detail else ""
    return f"- {MARK[step.state]} {markdown(f'{step.step}{detail}')}"


def _change(change: Change) -> str:
    return f"- {markdown(f'{change.action}: {change.before} → {change.after} ({change.fate})')}"
