"""Asking people: open a gate, remind, escalate, and close it when enough of them agree or silence decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.chat.activities import ChatActivities
from runbook_model.authority.shown import Opened
from runbook_model.catalog.policies import Approvals
from runbook_model.incident.announcements import Notice
from runbook_model.messages import Approval
from runbook_model.plans import Plan
from runbook_model.reports import Asker, Checkpoint, Report, State, Task
from runbook_model.text.durations import format_duration
from workflows.page.deciding.child_relay import ChildRelay
from workflows.page.deciding.gate import Gate
from workflows.page.deciding.procedure_orders import ProcedureOrders
from workflows.page.options import BEST_EFFORT, ActivityOptions
from workflows.page.telling.record import Record

Step = Callable[[str, Callable[..., Any], Any, ActivityOptions], Awaitable[Any]]


class Question:
    """What is asked, before anybody answered."""

    def __init__(
        self, shows: Opened, *, policy: Approvals, about: Plan | Task | None = None, abort_means: str
    ) -> None:
        asks_nobody = policy.needed == 0
        self.policy = (
            policy.model_copy(update={"needed": 1, "requester_may": True}) if asks_nobody else policy
        )
        self.shows, self.shown = shows, shows.shown
        self.plan = about if isinstance(about, Plan) else None
        self.task = about if isinstance(about, Task) else None
        self.abort_means = abort_means

    def opened(self, now: datetime, by: Report) -> Checkpoint:
        """Return the checkpoint as people see it, where a run opens it."""
        info = workflow.info()
        return Checkpoint(
            question=self.shown.question,
            plan=self.plan,
            task=self.task,
            plan_hash=self.shown.plan_hash,
            document=self.shows.document,
            subject=self.shows.subject,
            asked_by=Asker(
                workflow_id=info.workflow_id,
                run_id=info.run_id,
                procedure=by.procedure,
                requester=by.requested_by,
                gate=self.shows.gate,
                signed=self.policy.signed,
                longest=self.policy.longest,
            ),
            options=self.shown.options,
            approvals_needed=self.policy.needed,
            abort_means=self.abort_means,
            opened=now,
            closes=now + self.policy.timeout,
        )


class Asking:
    """Asks one question at a time."""

    def __init__(self, record: Record, orders: ProcedureOrders, child_relay: ChildRelay, step: Step) -> None:
        self._record = record
        self._orders = orders
        self._child_relay = child_relay
        self._step = step
        self._telling: set[asyncio.Task[object]] = set()

    async def ask(
        self,
        question: Question,
        meanwhile: Awaitable[object] | None = None,
        given: tuple[Approval, ...] = (),
    ) -> Gate | None:
        """Ask, until enough people agree or ``meanwhile`` comes true; None when silence decided.

        Args:
            question: what is asked.
            meanwhile: a wait whose end makes the question void; one that fails is no longer waited for.
            given: approvals of this very plan that still hold.
        """
        gate = self._open(question, given)
        void = asyncio.ensure_future(meanwhile) if meanwhile else None
        reminding = asyncio.ensure_future(self._remind(gate, question))
        try:
            await workflow.wait_condition(
                lambda: gate.decided or (void is not None and _came_true(void)),
                timeout=gate.view.closes - workflow.now(),
                timeout_summary="Until the timeout",
            )
        except TimeoutError:
            return None
        finally:
            # A worker that ends throws its runs away: nothing is to be done for them.
            if workflow.in_workflow():
                await self._end(gate, void, reminding)
        return gate

    async def _end(
        self, gate: Gate, void: asyncio.Future[object] | None, reminding: asyncio.Future[Any]
    ) -> None:
        self._record.figures.answered(gate.view.opened, _end_of(gate, void))
        for waiting in filter(None, (void, reminding)):
            waiting.cancel()
            with suppress(FailureError, asyncio.CancelledError):
                await waiting
        self._close(gate)

    def _open(self, question: Question, given: tuple[Approval, ...]) -> Gate:
        view = question.opened(workflow.now(), self._record.report).model_copy(update={"approvals": given})
        gate = Gate(view, question.policy, self._record.report.requested_by)
        self._orders.gate = gate
        self._record.enter(State.AWAITING_APPROVAL)
        self._record.checkpoint(gate.view)
        self._child_relay.report_to_parent(gate.view)
        self._record.summary(_waiting(question, gate.view.approvals_needed))
        return gate

    def _close(self, gate: Gate) -> None:
        names = ", ".join(given.by for given in gate.view.approvals) or "nobody"
        self._orders.last_gate = f"the checkpoint is closed (answered by {names})"
        self._orders.gate = None
        self._record.checkpoint(None)
        self._child_relay.report_to_parent(None)
        self._record.enter(State.RUNNING)

    async def _remind(self, gate: Gate, question: Question) -> None:
        """Remind at each interval, and escalate once; telling people never holds the question up."""
        policy = question.policy
        telling: list[asyncio.Future[object]] = []
        next_reminder, escalation = gate.view.opened + policy.remind, gate.view.opened + policy.escalate
        escalated = False
        try:
            # A reminder at the moment when silence decides would remind of nothing.
            while (due := next_reminder if escalated else min(next_reminder, escalation)) < gate.view.closes:
                await workflow.sleep(due - workflow.now(), summary="Until somebody is reminded")
                waited = format_duration(workflow.now() - gate.view.opened)
                urgent = not escalated and due == escalation
                words = f"{'Escalate' if urgent else 'Remind'}: no decision for {waited}"
                telling.append(asyncio.ensure_future(self._notify(words, question, urgent=urgent)))
                escalated = escalated or urgent
                if due == next_reminder:
                    next_reminder += policy.remind
            for item in telling:
                await item
        finally:
            for item in telling:
                item.cancel()

    def announce(self, text: str, words: str) -> None:
        """Tell people something that is no question; nothing waits for it."""
        task = asyncio.ensure_future(self._tell(text, urgent=True, words=words))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _notify(self, words: str, question: Question, *, urgent: bool) -> object:
        self._record.decided("escalate" if urgent else "remind", "the runbook", words)
        text = f"{words}. {question.shown.question} {question.shown.headline}"
        return await self._tell(text, urgent=urgent, words=words)

    async def _tell(self, text: str, *, urgent: bool, words: str) -> object:
        report = self._record.report
        notice = Notice(
            target=f"{report.environment}/{report.service}",
            text=text,
            run=workflow.info().workflow_id,
            urgent=urgent,
        )
        with suppress(FailureError):
            return await self._step(words, ChatActivities.notify, notice, BEST_EFFORT)
        return None


def _waiting(question: Question, needed: int) -> str:
    if question.task:
        return f"Waiting for a person: {question.task.what}. {question.shown.headline}."
    return f"Waiting for {needed} approval{'s' if needed > 1 else ''}: {question.shown.headline}."


def _end_of(gate: Gate, void: asyncio.Future[object] | None) -> str:
    if gate.decided:
        return "answered"
    if void is not None and _came_true(void):
        return "void"
    return "silence" if workflow.now() >= gate.view.closes else "stopped"


def _came_true(waiting: asyncio.Future[object]) -> bool:
    return waiting.done() and not waiting.cancelled() and waiting.exception() is None
