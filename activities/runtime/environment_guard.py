"""Whom a worker serves: work for another environment that reaches one of its queues is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from runbook_model.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Served:
    """The queues that a worker asks for work, each with the environment that it belongs to."""

    def __init__(self, queues: Mapping[str, str]) -> None:
        self._queues = queues

    def check(self, environment: str) -> None:
        """Let an activity go on whose environment is that of the queue which it came by.

        Raises:
            PolicyError: it came by the queue of another environment.
        """
        queue = activity.info().task_queue
        whose = self._queues.get(queue)
        if whose != environment:
            raise PolicyError(
                f'this worker refuses work for the environment "{environment}" from the queue {queue}, '
                f"which belongs to {whose or 'nobody here'}",
                fix=f"start it with --environment {environment}",
            )
