"""The fence around a change that has no client token: make it once, adopt it if it was made, leave others' alone."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from temporalio import activity

from activities.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from activities.models import Fence, ServiceState

LANDS_WITHIN = timedelta(seconds=10)
"""A request that was sent takes effect within this time, or its client has given up on it: connect and read timeout."""


class Standing(Enum):
    """How the live state stands to a planned change."""

    UNCHANGED = "as it was when the plan was made"
    OURS = "changed, and what runs is what was wanted"
    DRIFTED = "changed by somebody else"


def standing(fence: Fence, now: ServiceState, wanted: str, *, may_be_ours: bool) -> Standing:
    """Tell whether a change to a task definition is still to be made.

    Args:
        fence: what was recorded when the plan was made.
        now: a fresh reading.
        wanted: ARN of the task definition that the change brings.
        may_be_ours: whether an earlier attempt may have made the change already.
    """
    primary = now.primary
    if primary and primary.id == fence.primary and now.task_definition == fence.task_definition:
        return Standing.UNCHANGED
    if may_be_ours and primary and primary.task_definition == wanted:
        return Standing.OURS
    return Standing.DRIFTED


def wait_out_previous_attempt() -> None:
    """Wait until nothing that the attempt before this one sent can still land.

    An attempt says in its heartbeat when it sent its request. Without that word it either never sent one, or its
    worker died and the attempt ran out its own, longer time.
    """
    details = activity.info().heartbeat_details
    if activity.info().attempt == 1 or not details or details[0] is None:
        return
    lands_by = datetime.fromisoformat(details[0]) + LANDS_WITHIN
    time.sleep(max(0.0, (lands_by - datetime.now(UTC)).total_seconds()))


@contextmanager
def sending() -> Iterator[None]:
    """Send a change inside: leaves word for the next attempt, and takes it back when AWS refused for certain."""
    activity.heartbeat(datetime.now(UTC).isoformat())
    try:
        yield
    except OutsideError as error:
        if not error.may_have_landed:
            activity.heartbeat(None)
        raise
