"""Which run, activity and attempt sends something: it stands in the other side's log, next to what was asked."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from temporalio import activity

R = TypeVar("R")

APPLICATION = "incident-runbooks"
NAME_LONGEST = 63
"""Bytes that PostgreSQL keeps of the name of an application."""


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
