"""What every procedure takes from people and other runs, and reports them: the same signals, updates and query on each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from temporalio import workflow

from runbook_model.bounds import REPORT_BYTES, within
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Ending, Report
from workflows.page.deciding.handlers import TakesOrders, takes_signal, takes_update
from workflows.page.deciding.inbox import Inbox
from workflows.page.page import Page

SomeProcedure = TypeVar("SomeProcedure", bound="ProcedureWorkflow")
SomeRequest = TypeVar("SomeRequest", bound=ProcedureRequest)


class ProcedureWorkflow(TakesOrders):
    """A workflow with a page; its handlers only pass on."""

    page: Page

    @property
    def inbox(self) -> Inbox:
        """What judges and takes each message."""
        return self.page.inbox

    sign_start_by_signal = takes_signal(
        "sign_start", "Sign the start: {by, statement, signature, decision_id?}"
    )
    sign_start = takes_update("sign_start", "As the signal sign_start, with an answer")
    parent_paused = takes_signal("parent_paused", "Sent by a parent that was paused")
    parent_resumed = takes_signal("parent_resumed", "Sent by a parent that continues")
    child_checkpoint = takes_signal("child_checkpoint", "Sent by a child whose checkpoint opened or closed")
    child_changes = takes_signal("child_changes", "Sent by a child that changed something")
    joined = takes_signal(
        "joined",
        "Sent by an incident that found this run: the run reports its progress to that incident from now on",
    )

    @workflow.query(description="The page as it is now: steps, plan, checkpoint, readings, outcome")
    def status(self) -> Report:
        """Report the current state."""
        return within(self.page.report, REPORT_BYTES)


def runs_page(
    body: Callable[[SomeProcedure, SomeRequest], Awaitable[Ending]],
) -> Callable[[SomeProcedure, SomeRequest], Coroutine[Any, Any, Report]]:
    """Make the body of a page the run of its workflow: it returns an ending, and the run the page's report.

    It stands in place of ``@workflow.run``.
    """

    @wraps(body)
    async def run(procedure: SomeProcedure, request: SomeRequest) -> Report:
        return await procedure.page.run(request, lambda: body(procedure, request))

    run.__annotations__ = {**body.__annotations__, "return": Report}  # what Temporal's clients decode
    return workflow.run(run)
