"""Whom a worker serves: work for another environment that reaches one of its queues is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from runbook_model.catalog.catalog import Target
from runbook_model.errors import PolicyError


class EnvironmentGuard:
    """The queues that a worker asks for work, each with the environment that it belongs to."""

    def __init__(self, queues: Mapping[str, str]) -> None:
        self._queues = queues

    def check(self, environment: str) -> None:
        """Let an activity continue whose environment is that of the queue which it came by.

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


class GuardTargets(Interceptor):
    """Refuses every activity on a target of another environment, also those that packages bring."""

    def __init__(self, served: EnvironmentGuard) -> None:
        self._served = served

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap an activity."""
        return _Guarding(next, self._served)


class _Guarding(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, served: EnvironmentGuard) -> None:  # noqa: A002 - the SDK's name
        super().__init__(next)
        self._served = served

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        for given in input.args:
            target = given if isinstance(given, Target) else getattr(given, "target", None)
            if isinstance(target, Target):
                self._served.check(target.environment)
        return await super().execute_activity(input)
