"""Trims what people send to what handlers take: one argument too many would block a run for ever.

What a signal brought next to its one argument is shown as not used, by a workflow that has a place for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from workflows.page.handlers import HasInbox
from workflows.page.step_header import SendStep

TAKES_NOTHING = frozenset({"status"})


class TrimArguments(Interceptor):
    """Passes on at most the one argument that a handler takes."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        """Return what wraps each workflow."""
        return _Trimming


class _Trimming(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(SendStep(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK's name
        if len(input.args) != 1 or input.args[0] is None:
            raise ApplicationError(
                f"started with {len(input.args)} arguments, or with nothing: it takes one, its request",
                type="InputError",
                non_retryable=True,
            )
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 - the SDK's name
        more = input.args[1:]
        input.args = _trim(input.signal, input.args)
        await super().handle_signal(input)
        instance = workflow.instance()
        if more and isinstance(instance, HasInbox):
            why = "came with more than one payload: only the first is looked at"
            instance.inbox.reject(input.signal, why, more)

    async def handle_query(self, input: HandleQueryInput) -> Any:  # noqa: A002
        input.args = _trim(input.query, input.args)
        return await super().handle_query(input)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
        input.args = _trim(input.update, input.args)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
        input.args = _trim(input.update, input.args)
        return await super().handle_update_handler(input)


def _trim(name: str, args: Sequence[Any]) -> Sequence[Any]:
    if name.startswith("__"):  # Temporal's own queries, such as __stack_trace
        return args
    return () if name in TAKES_NOTHING else args[:1]
