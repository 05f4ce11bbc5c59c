"""What an incident does next: which procedure, when to wait, when to change course, when it is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from runbook_model.incident.account import ALERTMANAGER, Account, Remediation
from runbook_model.incident.alert_book import KeptAlert
from runbook_model.reports import Ending, Outcome

SOON = timedelta(minutes=1)
"""When a catalog that could not be read is read again."""
LATER = timedelta(minutes=30)
"""When it is looked again whether a target is in the catalog by now."""


@dataclass(frozen=True)
class LookUp:
    """Look up in the catalog what holds for the target."""


@dataclass(frozen=True)
class Begin:
    """Start a procedure."""

    procedure: str
    asked_by: str
    """``alert HighErrorRate``, or the person who wants it."""
    automatic: bool
    """Whether the brake is asked first: a person's wish needs no leave."""
    alert: str | None = None
    """Name of the alert that it answers to."""


@dataclass(frozen=True)
class Stop:
    """Stop the procedure under way, which stands at a checkpoint: something more severe needs another one."""

    remediation: Remediation
    why: str


@dataclass(frozen=True)
class Wait:
    """Wait for something to happen, at most until a moment."""

    until: datetime | None = None


@dataclass(frozen=True)
class Reopen:
    """Take a person's word back that it is over: something fires again."""

    why: str


Move = LookUp | Begin | Stop | Reopen | Wait | Ending


def next_move(account: Account, now: datetime) -> Move:
    """Say what to do now."""
    if (due := catalog_due(account)) is None or now >= due:
        return LookUp()
    if account.under_way:
        return _while_under_way(account, account.under_way)
    if account.closed and (
        again := [item for item in account.alerts.firing if item.since > account.closed.at]
    ):
        return Reopen(f"{again[0].name} fires again")
    return ending_of(account, now) or _between(account, now)


def catalog_due(account: Account) -> datetime | None:
    """When the catalog is to be read; None for at once."""
    if account.policy is None or account.policy_at is None:
        return None
    if not account.policy.problem:
        return datetime.max.replace(tzinfo=account.policy_at.tzinfo)
    return account.policy_at + (SOON if account.policy.unreadable else LATER)


def leading_alert(account: Account) -> KeptAlert | None:
    """Return the firing alert that counts most, of those that a procedure answers to; without such the worst."""
    firing = account.alerts.firing
    return next((alert for alert in firing if alert.procedure), firing[0] if firing else None)


def quiet_since(account: Account) -> datetime | None:
    """Since when nothing fires any more; None where something does, or where no alert came."""
    if not account.alerts.all_resolved:
        return None
    return max(alert.resolved or alert.since for alert in account.alerts.kept.values())


def _while_under_way(account: Account, under_way: Remediation) -> Move:
    """Let the procedure alone that runs; at a checkpoint it may have to give way.

    What it changed has to be seen through, and what a person holds is not stopped for something that may not be started.
    """
    leading = leading_alert(account)
    if under_way.changes or account.paused_by or account.stopped_by or account.closed:
        return Wait()
    if not under_way.ours or under_way.gate is None or under_way.stopping or leading is None:
        return Wait()
    if leading.procedure in {None, under_way.procedure} or not _is_worse(leading, account, under_way.began):
        return Wait()
    return Stop(under_way, f"{leading.name} is {leading.severity} and needs {leading.procedure} first")


def _is_worse(leading: KeptAlert, account: Account, than_before: datetime) -> bool:
    """Whether an alert came after a moment and is more severe than all that came before it."""
    before = [alert.rank for alert in account.alerts.kept.values() if alert.since <= than_before]
    return leading.since > than_before and all(leading.rank < rank for rank in before)


def _between(account: Account, now: datetime) -> Move:
    """Where none runs: start one, or wait for the moment, or for the person, that may."""
    policy = account.policy
    assert policy is not None
    if account.stopped_by or account.closed or account.paused_by:
        return Wait(_when_quiet(account, now))
    if account.wanted:
        return Begin(account.wanted, account.opened_by, automatic=False)
    leading = leading_alert(account)
    if leading is None or leading.procedure is None or policy.problem:
        return Wait(_when_quiet(account, now) or (catalog_due(account) if policy.problem else None))
    if account.last and (waits := _after(account.last, leading, account, now)):
        return waits
    if account.held and (account.held.until is None or now < account.held.until):
        return Wait(account.held.until)
    return Begin(leading.procedure, f"alert {leading.name}", automatic=True, alert=leading.name)


def _after(last: Remediation, leading: KeptAlert, account: Account, now: datetime) -> Wait | None:
    """Say what is waited for after a procedure, before another is started automatically; None for nothing.

    What a person stopped a person has, whatever else fires. Otherwise what is worse than everything that it was started for,
    and needs another procedure, never waits. After one that ended well its alerts have time to be resolved; one that fires
    again need not wait. What was handed over a person has.
    """
    assert account.policy is not None
    ended = last.ended or now
    worse = leading.procedure != last.procedure and _is_worse(leading, account, last.began)
    if last.gave_way:
        return None
    if last.outcome is Outcome.ABORTED:
        return Wait()
    if worse:
        return None
    if not last.ended_well:
        return Wait()
    settled = ended + account.policy.rhythm.cool_down
    return None if leading.since > ended or now >= settled else Wait(settled)


def _when_quiet(account: Account, now: datetime) -> datetime | None:
    """When the alerts will have been resolved for long enough, where they are and that is still to come."""
    since = quiet_since(account)
    quiet = since + account.policy.rhythm.quiet if since and account.policy else None
    return quiet if quiet and quiet > now else None


def ending_of(account: Account, now: datetime) -> Ending | None:
    """Say how the incident ends, where it is over."""
    if account.closed:
        return _closed(account)
    if is_empty(account):
        return Ending(outcome=Outcome.NOT_NEEDED, summary="Nothing fires: what came was resolved before.")
    if account.stopped_by or account.handed_over or account.wanted or _needs_closing(account):
        return None
    has_alerts = bool(account.alerts.kept or account.alerts.untracked)
    if has_alerts and (quiet_since(account) is None or _when_quiet(account, now)):
        return None
    if account.last is None:
        summary = "The alerts were resolved on their own; nothing was changed."
        return Ending(outcome=Outcome.NOT_NEEDED, summary=summary)
    counts = next(
        (remediation for remediation in reversed(account.remediations) if not remediation.gave_way), None
    )
    if counts is None:
        return Ending(outcome=Outcome.NOT_NEEDED, summary="The alerts were resolved; nothing was changed.")
    return Ending(outcome=counts.outcome or Outcome.INCONCLUSIVE, summary=counts.summary)


def is_empty(account: Account) -> bool:
    """Whether it was opened by alerts none of which ever fired here."""
    alerts = account.alerts
    opened_by_alerts = account.opened_by == ALERTMANAGER
    return opened_by_alerts and not (alerts.kept or alerts.untracked or account.last)


def _needs_closing(account: Account) -> bool:
    """Whether only a person may end it: nothing can answer its alerts, or a person found it and nothing ran yet."""
    assert account.policy is not None
    found_by_a_person = account.opened_by != ALERTMANAGER
    nothing_tells = not account.alerts.kept and account.last is None
    return bool(account.policy.problem) or (found_by_a_person and nothing_tells)


def _closed(account: Account) -> Ending:
    """End because a person said so; that it recovered is only said where that was measured."""
    closed, last = account.closed, account.last
    assert closed is not None
    said = f"Closed by {closed.by}: {closed.root_cause}"
    firing = sorted({alert.name for alert in account.alerts.firing})
    if account.alerts.all_resolved or (last and last.ended_well and not firing):
        return Ending(outcome=Outcome.RECOVERED, summary=said)
    doubt = f"{', '.join(firing)} still fires" if firing else "nothing measured it"
    return Ending(
        outcome=Outcome.INCONCLUSIVE, summary=f"{said}. Whether it recovered is not known: {doubt}."
    )
