"""Handlers of signals and updates: each passes on what came, by its name, to the inbox of its workflow; an argument too many blocks none.

They declare no type for what they take: a payload that fits no type would block the run for ever. So would one argument too
many: what a signal brought next to its one argument is shown as not used, by a workflow that has a place for that.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

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

from runbook_model.messages import Answer
from workflows.page.deciding.inbox import Inbox
from workflows.page.options import SendStep

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


P = ParamSpec("P")

R = TypeVar("R")


class HasInbox:
    """A workflow with an inbox."""

    @property
    @abstractmethod
    def inbox(self) -> Inbox:
        """What judges and takes each message."""


def takes_signal(name: str, description: str) -> Callable[..., Any]:
    """Return the handler of a signal."""

    async def take(self: HasInbox, request: object = None) -> None:
        await self.inbox.signal(name, request)

    return workflow.signal(name=name, description=description)(_as_method(take))


def takes_update(
    name: str, description: str, *, order: str | None = None, returns: type = Answer
) -> Callable[..., Any]:
    """Return the handler of an update, with its validator.

    Args:
        name: the update's.
        description: what the Temporal UI says of it.
        order: the name that the inbox knows it by, where that is another.
        returns: the type of its answer.
    """
    known_as = order or name

    async def take(self: HasInbox, request: object = None) -> Any:
        return await self.inbox.update(known_as, request)

    def check(self: HasInbox, request: object = None) -> None:
        self.inbox.check(known_as, request)

    take.__annotations__["return"] = returns
    handler = workflow.update(name=name, description=description)(_as_method(take))
    handler.validator(_as_method(check))
    return handler


def _as_method(function: Callable[P, R]) -> Callable[P, R]:
    """Return it without the type of ``self``, which the SDK would take for that of the payload."""
    del function.__annotations__["self"]
    return function


class TakesOrders(HasInbox):
    """What procedures and incidents take from people alike: each order as a signal, and as an update with an answer."""

    approve = takes_signal(
        "approve",
        "Approve the plan that is shown: {by, plan_hash, option?, comment?, decision_id?, statement?, signature?}",
    )
    abort = takes_signal(
        "abort", "Stop safely, at any time: {by, reason, keep?, decision_id?, statement?, signature?}"
    )
    pause_by_signal = takes_signal("pause", "Pause before the next step: {by, reason?}")
    resume_by_signal = takes_signal(
        "resume", "Continue after a pause: {by, reason?, decision_id?, statement?, signature?}"
    )
    acknowledge_by_signal = takes_signal("acknowledge", "Acknowledge; stop paging: {by, reason?}")
    note_by_signal = takes_signal("note", "Add what you know: {by, impact?, root_cause?, eta?, observation?}")

    decide = takes_update("decide", "As the signal approve, with an answer", order="approve")
    abort_run = takes_update("abort_run", "As the signal abort, with an answer", order="abort")
    pause = takes_update("pause", "As the signal pause, with an answer")
    resume = takes_update("resume", "As the signal resume, with an answer")
    acknowledge = takes_update("acknowledge", "As the signal acknowledge, with an answer")
    note = takes_update("note", "As the signal note, with an answer")
