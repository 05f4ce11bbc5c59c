"""What people are sent of an incident: every field of the page's messages, or that nobody knows it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runbook_model.catalog.target import with_trace
from runbook_model.incident.account import Account, Remediation
from runbook_model.incident.announcements import UNKNOWN, Announcement
from runbook_model.names import ids
from runbook_model.reports import Change, Checkpoint, Task
from runbook_model.text.sentences import sentence
from workflows.decisions.calling import deaf_channels, is_taken
from workflows.decisions.incidents import leading_alert, quiet_since

Kind = Literal["started", "update", "resolved", "escalation"]
WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z][a-z]*\d*|[a-z]+\d*|\d+")
NO_TARGET = "These alerts belong to no target of the catalog; each says why"
MOST = 8
"""Lines of a list; more of them nobody reads."""


def announcement(account: Account, kind: Kind, now: datetime, contact: str | None = None) -> Announcement:
    """Say where the incident stands."""
    assert account.policy is not None
    update_every = account.policy.rhythm.update_every
    return Announcement(
        incident=ids.incident_id(account.environment, account.service),
        run=account.first_run,
        number=account.number + 1,
        kind=kind,
        title=title(account),
        ask=ask(account),
        service=account.service,
        environment=account.environment,
        severity=account.severity,
        status=account.status,
        at=now,
        started=started(account),
        duration=now - started(account),
        impact=impact(account) or UNKNOWN,
        observations=tuple(observations(account)),
        done=tuple(done(account)),
        current_action=current_action(account),
        next_steps=tuple(next_steps(account)),
        eta=account.eta or UNKNOWN,
        resolution=tuple(resolution(account)) if account.ending else (),
        root_cause=root_cause(account),
        next_update=None if account.ending else now + update_every,
        links=with_trace(account.policy.links, account.trace_id),
        contact=contact,
    )


def gist(account: Account) -> str:
    """Say what would make people want to hear of it again before the next update is due."""
    last = account.last
    ended = last.run_id if last and last.ended else ""
    known = (account.impact, account.root_cause, account.eta, account.observations, *deaf_channels(account))
    asked = asked_of(account)
    about = (asked.kind, asked.about) if asked else None
    return "|".join(str(part) for part in (account.status, account.severity, about, ended, known))


def title(account: Account) -> str:
    """Name the incident: ``High Error Rate: shop in prod``."""
    alerts = account.alerts.firing or account.alerts.newest_first
    leading = leading_alert(account) or (alerts[0] if alerts else None)
    what = spoken(leading.name) if leading else "Incident"
    return f"{what}: {account.service} in {account.environment}"


def spoken(name: str) -> str:
    """Write an alert's name as people say it: ``High Latency P95`` for ``HighLatencyP95``."""
    return " ".join(WORD.findall(name)) or name


def started(account: Account) -> datetime:
    """When it started, as far as is known: alerts say since when they fire."""
    return min((account.opened, *(min(item.starts_at, item.since) for item in account.alerts.kept.values())))


def impact(account: Account) -> str | None:
    """Say what users notice, as a person or an alert said it."""
    said = (alert.impact for alert in account.alerts.newest_first if alert.impact)
    return account.impact or next(said, None)


def root_cause(account: Account) -> str:
    """Say what was behind it: a person's word, else the diagnosis's, which a person has to confirm."""
    if account.root_cause:
        return account.root_cause
    return f"{account.findings[-1]} (to be confirmed)" if account.findings else UNKNOWN


@dataclass(frozen=True)
class Asked:
    """What is asked of a person, as facts and as a sentence; whether it is news is identified by the facts."""

    kind: str
    about: tuple[object, ...]
    sentence: str


def ask(account: Account) -> str | None:
    """Say what a person must do next, if anything."""
    asked = asked_of(account)
    return asked.sentence if asked else None


def asked_of(account: Account) -> Asked | None:
    """Say what is asked of a person now."""
    short = f"{account.environment}/{account.service}"
    close = f"at the end: runbook close {short} --root-cause WHY"
    if account.ending:
        return None
    if account.under_way:
        return _asked_at_gate(account.under_way.gate, short) if account.under_way.gate else None
    if by := account.stopped_by:
        return Asked("stopped", (by,), f"{by} stopped it: nothing more is done automatically; {close}")
    if by := account.paused_by:
        return Asked("paused", (by,), f"{by} paused it; continue: runbook resume incident/{short}")
    if account.policy and account.policy.problem:
        unrouted = (account.service, account.environment) == ids.UNROUTED
        problem = NO_TARGET if unrouted else account.policy.problem
        sentence = f"{problem}. Look into it; at the end: runbook close incident/{short} --root-cause WHY"
        return Asked("no-target", (account.policy.problem,), sentence)
    if account.handed_over and account.last:
        return Asked("handed-over", (account.last.run_id,), f"{account.last.summary} At{close[2:]}")
    return _asked_between(account, close)


def _asked_at_gate(gate: Checkpoint, short: str) -> Asked:
    more = f" --option {'|'.join(gate.options)}" if len(gate.options) > 1 else ""
    question = gate.question if gate.question.endswith((".", "?", "!")) else f"{gate.question}."
    sentence = f"{question} Answer: runbook approve {short}{more}, or runbook abort {short} --reason WHY"
    return Asked("gate", (gate.plan_hash,), sentence)


def _asked_between(account: Account, close: str) -> Asked | None:
    leading = leading_alert(account)
    if leading is None:
        nothing_ran = account.last is None and not account.alerts.kept
        return Asked("nothing-ran", (), f"Look into it; {close}") if nothing_ran else None
    if leading.procedure is None:
        return Asked(
            "no-procedure", (leading.name,), f"No procedure answers {leading.name}: look into it; {close}"
        )
    if (held := account.held) and held.kind != "cooling":
        start = f"runbook start {leading.procedure} {account.environment}/{account.service}"
        words = f"Nothing is started automatically: {sentence(held.why)} A person may: {start}"
        return Asked("held", (leading.procedure, held.kind, held.why), words)
    return None


def observations(account: Account) -> Iterator[str]:
    """List what was seen: alerts, what people noted, what diagnoses found."""
    firing = account.alerts.firing
    text: dict[str, str] = {}
    for alert in firing:
        text.setdefault(alert.name, alert.words)
    for name, words in list(text.items())[:MOST]:
        times = sum(alert.name == name for alert in firing)
        yield f"{name}{f' ({times} times)' if times > 1 else ''}{': ' if words else ''}{words}"
    if account.alerts.untracked:
        yield f"more than {len(account.alerts.kept)} alerts: the newest are no longer distinguished"
    if since := quiet_since(account):
        yield f"no alert has fired since {since:%H:%M:%S} UTC"
    yield from (f"not everybody is notified: {why}" for why in deaf_channels(account).values())
    yield from account.observations
    yield from account.findings[-MOST:]


def done(account: Account) -> Iterator[str]:
    """List what was done: procedures that ended, and changes."""
    for remediation in account.remediations[-MOST:]:
        yield from (_change(change) for change in remediation.changes)
        if remediation.ended:
            yield f"{remediation.procedure} ended, {remediation.outcome}: {remediation.summary}"


def current_action(account: Account) -> str:
    """Say what continues now."""
    if account.ending:
        return "none: it is over"
    if running := account.under_way:
        return _running(running)
    if account.held and account.held.until:
        return f"waits: {account.held.why}"
    if ask(account):
        return "nothing automatic: a person is needed"
    if since := quiet_since(account):
        return f"watches whether it stays quiet; no alert has fired since {since:%H:%M:%S} UTC"
    if account.last and account.last.ended_well:
        return "waits for the alerts to be resolved"
    return UNKNOWN


def next_steps(account: Account) -> Iterator[str]:
    """List what comes next."""
    short = f"{account.environment}/{account.service}"
    if account.ending:
        yield f"Post-incident review: runbook review incident/{short}"
        yield from (task.what for task in _open_tasks(account))
        return
    if asked := ask(account):
        yield asked
    leading = leading_alert(account)
    if leading and leading.procedure and not account.remediations and not account.held:
        yield f"Diagnose by the procedure {leading.procedure}; it asks before it changes what the policy guards"
    if not is_taken(account):
        yield f"Acknowledge it: runbook ack {short}"


def resolution(account: Account) -> Iterator[str]:
    """List what ended it."""
    standing = [
        change for change in account.changes if not change.undone or change.kept or change.undo_failed
    ]
    yield from (_change(change) for change in standing)
    if account.ending:
        yield account.ending.summary


def _open_tasks(account: Account) -> list[Task]:
    reports = (remediation.report for remediation in account.remediations if remediation.report)
    return [task for report in reports for task in report.tasks if task.state == "open"][:MOST]


def _running(remediation: Remediation) -> str:
    report = remediation.report
    where = (report.heading or report.summary) if report else "begins"
    return f"{remediation.procedure}: {'waits for a person: ' if remediation.gate else ''}{where}"


def _change(change: Change) -> str:
    fate = f" ({change.fate})" if change.undone or not change.certain else ""
    return f"{change.action}: {change.before} → {change.after}{fate}"
