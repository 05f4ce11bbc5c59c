"""Whom an incident calls, and when: the response time runs from the first alert, along the contacts. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from runbook_model.catalog.catalog import LOG
from runbook_model.catalog.policies import Contact
from runbook_model.incident.account import Account
from runbook_model.incident.announcements import Announcement
from workflows.decisions.incidents import quiet_since

ROUNDS = 3
"""So often every contact is called; after that the updates continue asking."""
RESPOND_WITHIN = timedelta(minutes=5)
"""Where no alert says it: a person opened the incident."""


def next_call(account: Account) -> datetime | None:
    """Say when the next person is called; None when nobody has to be."""
    if account.policy is None or account.ending:
        return None
    if len(account.calls) >= ROUNDS * max(1, len(account.policy.contacts)):
        return None
    if _pages_at_once(account) or _was_not_reached(account):
        return account.opened
    since = unattended_since(account)
    if since is None:
        return None
    if not account.calls:
        return max(since, respond_by(account))
    return max(since, account.calls[-1].at + account.policy.rhythm.call_every)


def next_contact(account: Account) -> Contact | None:
    """Return who is called next: along the contacts, then from the first again."""
    contacts = account.policy.contacts if account.policy else ()
    return contacts[len(account.calls) % len(contacts)] if contacts else None


def respond_by(account: Account) -> datetime:
    """By when a person must be on it."""
    due = [alert.since + alert.respond_within for alert in account.alerts.firing]
    return min(due, default=account.opened + RESPOND_WITHIN)


def is_taken(account: Account) -> bool:
    """Whether a person has it, as it is now: what got worse since then is nobody's yet."""
    rank = account.rank
    return account.acknowledged is not None and (rank is None or rank >= account.acknowledged.rank)


def unattended_since(account: Account) -> datetime | None:
    """Since when a person is needed and none has it; None when a procedure works, or a person has it."""
    gate = account.under_way.gate if account.under_way else None
    if account.under_way:
        if gate is None:
            return None
        if not is_taken(account):
            return gate.opened
        # Who has it may not know that they are asked.
        assert account.policy is not None
        since_taken = max(gate.opened, account.acknowledged.at if account.acknowledged else gate.opened)
        return since_taken + account.policy.checkpoint_escalate
    since = _left_alone_since(account)
    if since is None or not is_taken(account):
        return since
    lapses = _lapses(account)
    return max(since, lapses) if lapses else None


def _lapses(account: Account) -> datetime | None:
    """Say when an acknowledgement lapses: where decisions are signed, anybody may have sent it; elsewhere never."""
    if account.policy is None or not account.policy.signed or account.acknowledged is None:
        return None
    return account.acknowledged.at + account.policy.checkpoint_escalate


def _left_alone_since(account: Account) -> datetime | None:
    """Since when nothing works on it by itself and it is not over."""
    if account.handed_over and account.last and account.last.ended:
        return account.last.ended
    if account.last and account.last.ended_well and not account.held and not account.stopped_by:
        return None if _settles(account) else account.last.ended
    return None if quiet_since(account) else account.opened


def _settles(account: Account) -> bool:
    """Whether the alerts that still fire are those that the last procedure ended well for."""
    ended = account.last.ended if account.last else None
    return ended is not None and all(alert.since <= ended for alert in account.alerts.firing)


def _was_not_reached(account: Account) -> bool:
    """Whether the last call reached nobody, because the contact's channel refuses what it is sent."""
    return not is_taken(account) and bool(account.calls) and not account.calls[-1].reached


def deaf_channels(account: Account) -> dict[str, str]:
    """Return the channels that refuse what they are sent, each with the reason."""
    return {name: outbox.trouble for name, outbox in account.outbox.items() if outbox.trouble}


def next_channel(account: Account, said: Announcement) -> str | None:
    """Choose where a message is said that a channel refuses: by a contact's channel, else in the worker's log.

    Returns:
        the channel's name; None where another one that it was sent to takes it.
    """
    assert account.policy is not None
    deaf, contacts = deaf_channels(account), account.policy.contacts
    sent_to = (
        *account.policy.channels,
        *(contact.channel for contact in contacts if contact.name == said.contact),
    )
    if any(name not in deaf for name in sent_to):
        return None
    able = (name for name in (*(contact.channel for contact in contacts), LOG) if name not in deaf)
    return next(able, None)


def note_refusal(account: Account, said: Announcement, channel: str) -> None:
    """Have the next contact called at once, where it was a contact's channel that refused the call and another may take it."""
    contacts = account.policy.contacts if account.policy else ()
    called = account.calls[-1] if account.calls else None
    its = any(contact.channel == channel and contact.name == said.contact for contact in contacts)
    others = any(contact.channel not in deaf_channels(account) for contact in contacts)
    if said.kind == "escalation" and its and others and called and called.contact == said.contact:
        account.calls = (*account.calls[:-1], called.model_copy(update={"reached": False}))


def _pages_at_once(account: Account) -> bool:
    """Whether an alert calls somebody whatever is done about it, and nothing as severe called anybody before."""
    if is_taken(account):
        return False
    called_for = account.calls[-1].rank if account.calls else None
    return any(
        not alert.respond_within and (called_for is None or alert.rank < called_for)
        for alert in account.alerts.firing
    )
