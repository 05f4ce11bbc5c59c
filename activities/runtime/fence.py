"""The fence around a change that has no client token: make it once, adopt it if it was made, leave others' alone.

Which run, activity and attempt sends something stands in the other side's log, next to what was asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from typing import TypeVar

from temporalio import activity

from runbook_model.errors import OutsideError, RunbookError, TooLateError
from runbook_model.measured.evidence import Evidence

CONNECT_TIMEOUT = timedelta(seconds=2)
READ_TIMEOUT = timedelta(seconds=8)
LANDS_WITHIN = CONNECT_TIMEOUT + READ_TIMEOUT
"""A request that was sent takes effect within this time, or its client has given up on it and nothing more comes of it."""

_attempt_started: ContextVar[datetime | None] = ContextVar("attempt_started", default=None)

_refused: ContextVar[RunbookError | None] = ContextVar("refused", default=None)

_decisions: ContextVar[tuple[str, ...]] = ContextVar("decisions", default=())

E = TypeVar("E", bound=Evidence)

TRIES = 6
"""With the pauses between attempts that is some six seconds."""

R = TypeVar("R")
APPLICATION = "incident-runbooks"
NAME_LONGEST = 63
"""Bytes that PostgreSQL keeps of the name of an application."""


class Standing(Enum):
    """How the live state stands to a planned change."""

    UNCHANGED = "as it was when the plan was made"
    OURS = "changed, and what runs is what was wanted"
    DRIFTED = "changed by somebody else"


@contextmanager
def fenced(lands_within: timedelta = LANDS_WITHIN) -> Iterator[None]:
    """Make a change inside: not before its predecessor's request has landed or died, and never cut in two by a cancel.

    An error says whether the change was certainly not made, by this attempt or by one before it.

    Args:
        lands_within: for how long after it was sent a request may still take effect.
    """
    with activity.shield_thread_cancel_exception():
        sent = _sent_before()
        if isinstance(sent, datetime):
            time.sleep(max(0.0, (sent + lands_within - datetime.now(UTC)).total_seconds()))
        try:
            yield
        except RunbookError as error:
            landed = isinstance(error, OutsideError) and error.may_have_landed
            error.certainly_not_made = sent is False and not landed
            raise


def _sent_before() -> datetime | bool:
    """Say when an attempt before this one sent its request; True if it may have, False if none did.

    An attempt says so in its heartbeat. Without that word it failed before it sent anything, or its worker died; then
    its own, longer time had to run out before this one started.
    """
    details = activity.info().heartbeat_details
    if activity.info().attempt == 1 or (details and details[0] is None):
        return False
    return datetime.fromisoformat(details[0]) if details else True


def attempt_begins() -> None:
    """Note that this worker has an attempt from now on, before it waits for a thread."""
    _attempt_started.set(datetime.now(UTC))
    _refused.set(None)
    _decisions.set(())


def refuse_to_send(error: RunbookError) -> None:
    """Have this attempt send nothing: it may only find that an earlier one has made the change."""
    _refused.set(error)


def warranted_by(decisions: tuple[str, ...]) -> None:
    """Note the ids of the signed decisions that this attempt acts on."""
    _decisions.set(decisions)


def decisions_acted_on() -> tuple[str, ...]:
    """Return the ids of the signed decisions that this attempt acts on; none where decisions are not signed."""
    return _decisions.get()


def may_send() -> None:
    """Let an attempt send its change.

    Raises:
        RunbookError: it was refused, and may only adopt what an earlier attempt made.
    """
    if error := _refused.get():
        raise error


@contextmanager
def sending(lands_within: timedelta = LANDS_WITHIN) -> Iterator[None]:
    """Send a change inside: leaves a note for the next attempt, and takes it back when AWS refused for certain.

    Args:
        lands_within: as in ``fenced``.

    Raises:
        TooLateError: it could still be under way when the next attempt starts; nothing was sent.
    """
    may_send()
    _in_time(lands_within)
    activity.heartbeat(datetime.now(UTC).isoformat())
    try:
        yield
    except OutsideError as error:
        if not error.may_have_landed:
            activity.heartbeat(None)
        raise


def _in_time(lands_within: timedelta) -> None:
    started, may_take = _attempt_started.get(), activity.info().start_to_close_timeout
    if started and may_take and datetime.now(UTC) > started + may_take - lands_within:
        taken = (datetime.now(UTC) - started).total_seconds()
        raise TooLateError(
            f"this attempt came to its change after {taken:.0f} s of {may_take.total_seconds():.0f}: "
            "nothing was sent, and it is tried again"
        )


def unread(asked: E, error: RunbookError) -> E:
    """Return a question as one that could not be asked.

    An error that passes is raised again, so that Temporal repeats the read; after some attempts it is the answer. What
    one call was refused because of too many calls decides no diagnosis.
    """
    if error.retryable and activity.in_activity() and activity.info().attempt < TRIES:
        raise error
    return asked.unread(error)


def attribution() -> str:
    """Return ``run/… activity/… attempt/…`` as products of a user agent; empty outside of activities of a run."""
    info = _info()
    return f"run/{info.workflow_run_id} activity/{info.activity_id} attempt/{info.attempt}" if info else ""


def user_agent() -> str:
    """Return the product's name, and which attempt of which activity asks."""
    return f"{APPLICATION} {attribution()}".rstrip()


def knowing_who_asks(do: Callable[..., R], *given: object) -> Callable[[], R]:
    """Return the call for a thread of a pool, which would not know which activity asks."""
    return partial(copy_context().run, do, *given)


def application_name() -> str:
    """Return ``incident-runbooks/<run>/<activity>/<attempt>``, as a database shows its sessions."""
    info = _info()
    who = f"/{info.workflow_run_id}/{info.activity_id}/{info.attempt}" if info else ""
    return f"{APPLICATION}{who}"[:NAME_LONGEST]


def _info() -> activity.Info | None:
    info = activity.info() if activity.in_activity() else None
    return info if info and info.workflow_run_id else None
