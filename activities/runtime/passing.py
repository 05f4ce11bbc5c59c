"""Errors that pass by themselves are no answer at once: the read is tried again first."""

from __future__ import annotations

from typing import TypeVar

from temporalio import activity

from runbook_model.errors import RunbookError
from runbook_model.measured.evidence import Evidence

E = TypeVar("E", bound=Evidence)

TRIES = 6
"""With the pauses between attempts that is some six seconds."""


def unread(asked: E, error: RunbookError) -> E:
    """Return a question as one that could not be asked.

    An error that passes is raised again, so that Temporal repeats the read; after some attempts it is the answer. What
    one call was refused because of too many calls decides no diagnosis.
    """
    if error.retryable and activity.in_activity() and activity.info().attempt < TRIES:
        raise error
    return asked.unread(error)
