"""The words of a page for people: a yes to a plan, a choice, a task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.catalog.activities import CatalogActivities
from activities.ecs.waits import AwaitedDrift, Waits
from activities.temporal.predecessor import Predecessor, RunHistory, RunName
from runbook_model.authority.shown import Opened
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.catalog.target import Target
from runbook_model.messages import Abort, Approval, StartSignature
from runbook_model.names import ids
from runbook_model.plans import Plan
from runbook_model.releases.release import Fence
from runbook_model.reports import Ending, Outcome, Problem, Task
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import sentence
from workflows.decisions.rollback.releases import refused
from workflows.page.deciding.asking import Asking, Question, Step
from workflows.page.deciding.child_relay import ChildRelay, procedure_above
from workflows.page.deciding.gate import Gate, Showing
from workflows.page.deciding.inbox import Inbox, reading
from workflows.page.deciding.procedure_orders import ProcedureOrders
from workflows.page.deciding.signing import Carried
from workflows.page.locks import Locks
from workflows.page.options import BEST_EFFORT, IDLE_WATCH, READ, ActivityOptions
from workflows.page.run_loop import Body, RunLoop, ending_of
from workflows.page.telling.record import Record

SomePlan = TypeVar("SomePlan", bound=Plan)

DONE, SKIP = "done", "skip"
"""How a task is answered, next to the ways that it offers."""


@dataclass(frozen=True)
class AsksAgain:
    """What was decided last, should it have to be asked again."""

    plan_hash: str
    target: Target
    question: str
    plan_again: Callable[[], Awaitable[Any]]


class People:
    """Asks people what a page needs of them; nobody's answer is ever taken for one."""

    def __init__(
        self,
        record: Record,
        orders: ProcedureOrders,
        child_relay: ChildRelay,
        run_loop: RunLoop,
        step: Step,
        locks: Locks,
    ) -> None:
        self._record = record
        self._orders = orders
        self._run_loop = run_loop
        self._step = step
        self._locks = locks
        self._asking = Asking(record, orders, child_relay, step)
        self._predecessor: Predecessor | None = None
        self._showing = Showing(record)
        self._asks_again: AsksAgain | None = None
        self.carried = Carried(record)

    def listen(self, inbox: Inbox) -> None:
        """Take the signature of a start."""
        inbox.on("sign_start", reading(StartSignature), self.carried.take_start, verify=self.verify_start)

    async def checkpoint(
        self,
        plan: SomePlan,
        target: Target,
        question: str,
        plan_again: Callable[[], Awaitable[SomePlan | Ending]],
        because: str | None = None,
    ) -> SomePlan | Ending:
        """Ask people for their yes to a plan, where the policy, the plan itself or an earlier run makes it needed.

        While it is asked, the service is watched: when it is no longer as the plan saw it, approvals are void, a new
        plan is made and the gate opens again. After the yes the plan is made once more, from a fresh reading.
        """
        self._asks_again = None
        left_behind = await self._left_behind()
        reasons = (question, left_behind, because)
        opened = await self._showing.show_plan(plan, target, reasons)
        signed = target.approvals.signed
        given: tuple[Approval, ...] = ()
        while True:
            self._record.planned(plan, opened.plan_hash)
            if not (target.approvals.needed or signed or plan.needs_yes or left_behind):
                return plan
            asks = plan.needs_yes or left_behind or because
            if signed and not asks and await self.carried.stands(plan):
                return plan
            policy = self.carried.policy(target)
            asked = Question(opened, policy=policy, about=plan, abort_means=self._run_loop.abort_means)
            drift = self._drift(plan.fence, target, plan.under_way) if plan.fence else None
            await self._locks.release_state()  # while people think, others may apply
            gate = await self._asking.ask(asked, drift, given)
            if gate is None:
                return self._silence(target, "not enough people agreed")
            again = await plan_again()
            if isinstance(again, Ending):
                return again
            was, opened = opened, await self._showing.show_plan(again, target, reasons)
            same = was.plan_hash == opened.plan_hash
            if same and signed:
                opened = was  # what people sign is this very document
            if same and gate.decided:
                self._record.planned(again, opened.plan_hash)
                self.carried.carry(gate, opened)
                self._asks_again = AsksAgain(opened.plan_hash, target, question, plan_again)
                return again
            # The service only seemed to change, as an answer of AWS may be an old one: who agreed need not say so again.
            given = gate.view.approvals if same else ()
            if not same:
                self._void(was, opened)
            plan = again

    async def verify_start(self, signature: StartSignature) -> StartSignature:
        """Return the signature of a start once it is verified: what somebody else sends takes nothing away from it."""
        report = self._record.report
        await self._orders.signing.of_order(
            "start",
            signature,
            {"requested_by": report.requested_by},
            environment=report.environment,
            service=report.service,
            procedure=report.procedure,
            requester=report.requested_by,
        )
        return signature

    def announce(self, text: str, words: str = "Announce that a pause lapses") -> None:
        """Tell people something; nothing waits for it."""
        self._asking.announce(text, words)

    async def ask_again(self, why: Problem) -> Ending | None:
        """Ask for a yes once more, as what was signed does not count for the change; None when it was given."""
        last = self._asks_again
        if last is None:
            return refused("policy", why.message, why.fix)
        self._orders.answers.forget(last.plan_hash)
        self._record.decided("void", "the worker", why.line)
        report = self._record.report
        names = TargetNames(service=report.service, environment=report.environment)
        words = "Look up the target in the catalog again"
        target = await self._step(words, CatalogActivities.resolve_target, names, READ)
        again = await last.plan_again()
        if not isinstance(again, Ending):
            again = await self.checkpoint(
                again, target, last.question, last.plan_again, sentence(why.message)
            )
        if isinstance(again, Ending):
            return again
        if report_hash := self._changed_since(last.plan_hash):
            summary = f"It changed while people were asked again: plan {last.plan_hash} is {report_hash} now."
            return Ending(outcome=Outcome.SUPERSEDED, summary=f"{summary} A person must check now.")
        return None

    def _changed_since(self, plan_hash: str) -> str | None:
        now = self._record.report.plan_hash
        return now if now != plan_hash else None

    async def choose(self, question: str, why: str, target: Target, options: tuple[str, ...]) -> str | None:
        """Let a person choose how to continue; None when nobody does in time."""
        opened = await self._showing.show(question, target, options=options, why=why)
        asked = Question(opened, policy=target.approvals, abort_means=self._run_loop.abort_means)
        gate = await self._asking.ask(asked)
        return gate.option if gate else None

    async def task(self, task: Task, target: Target, ways: Sequence[str] = ()) -> str | Ending:
        """Ask people to do what the remedy waits for; only for what can be done while a run holds its target.

        Anybody may answer, also who asked for the run: an answer changes nothing, and a change has its own checkpoint.

        Args:
            task: what is to be done, and what to look at.
            target: whose policy says how long it is asked, and what silence does.
            ways: what a person may let the page do instead, by name.

        Returns:
            ``done``, which the page has to verify, or one of the ways; an ending when it is skipped or nobody answers.
        """
        step, place = self._record.begin_step(task.what), self._record.task(task)
        policy = target.approvals.model_copy(update={"needed": 1, "people": (), "requester_may": True})
        try:
            options = (*ways, DONE, SKIP)
            opened = await self._showing.show(task.what, target, options=options, why=task.why, about=task)
            asked = Question(opened, policy=policy, about=task, abort_means=self._run_loop.abort_means)
            gate = await self._asking.ask(asked)
        except asyncio.CancelledError:
            self._record.end_step(step, "cancelled")
            raise
        if gate is None:
            self._record.end_step(step, "cancelled", "nobody answered")
            return self._silence(target, f"nobody answered the task ({task.what})", "nothing was verified")
        answered = _answered(task, gate)
        self._record.answered(place, answered)
        self._record.end_step(step, "cancelled" if gate.option == SKIP else "done", answered.summary)
        return self._skipped(answered) if gate.option == SKIP else gate.option

    def add_follow_up(self, task: Task) -> None:
        """Leave a task open for the review, without holding up the run or its lock."""
        self._record.task(task)

    async def named(self, body: Body) -> Ending:
        """Run a page's body; a plan that it ends with, and that nobody was asked about, gets its hash."""
        ending = await ending_of(body())
        plan = self._record.report.plan
        if ending.outcome is Outcome.PLANNED and plan:
            opened = await self._showing.show(plan.headline, about=plan)
            self._record.planned(plan, opened.plan_hash)
        return ending

    def _void(self, was: Opened, now: Opened) -> None:
        self._orders.answers.forget(was.plan_hash)
        words = f"it changed: plan {was.plan_hash} is replaced by {now.plan_hash}"
        self._record.decided("void", "the service", words)

    async def _left_behind(self) -> str | None:
        """Say what the run before this one had changed when it was cut off; not knowing counts as something."""
        if self._predecessor is None:
            info, above = workflow.info(), procedure_above()
            under = RunName(workflow_id=above.workflow_id, run_id=above.run_id) if above else None
            run = RunName(workflow_id=info.workflow_id, run_id=info.run_id, under=under)
            words = "Check whether an earlier run was cut off"
            try:
                self._predecessor = await self._step(words, RunHistory.read_predecessor, run, BEST_EFFORT)
            except ActivityError as error:
                if self._run_loop.stopping or is_cancelled_exception(error):
                    raise
                return "whether an earlier run was cut off in the middle of a change is not known"
        return self._predecessor.summary if self._predecessor.changes else None

    def _silence(self, target: Target, said: str, *also: str) -> Ending:
        """End because nobody, or too few, answered in time; the policy may call that an abort."""
        said = f"{said} within {format_duration(target.approvals.timeout)}"
        if target.approvals.on_timeout == "abort":
            self._orders.stop(Abort(by="the runbook", reason=said))
            self._run_loop.heed_abort()
        return Ending(
            outcome=Outcome.NOT_APPROVED,
            summary=f"{said[:1].upper()}{said[1:]}; {'; '.join((*also, self._stands))}.",
        )

    def _skipped(self, task: Task) -> Ending:
        summary = f"Left to a person, {self._stands}: {task.summary} ({task.what}). {task.why}".rstrip(". ")
        return Ending(outcome=Outcome.INCONCLUSIVE, summary=f"{summary}.")

    @property
    def _stands(self) -> str:
        return "what was changed before stays" if self._record.report.changes else "nothing was changed"

    async def _drift(self, fence: Fence, target: Target, under_way: str | None) -> None:
        options = ActivityOptions(
            **{**IDLE_WATCH, "task_queue": ids.watch_queue(self._record.report.environment)}
        )
        awaited = AwaitedDrift(target=target, fence=fence, under_way=under_way)
        await self._step(
            "Watch that nothing changes while people decide", Waits.await_drift, awaited, options
        )


def _answered(task: Task, gate: Gate) -> Task:
    answer = gate.view.approvals[-1]
    state = "skipped" if gate.option == SKIP else "done"
    chosen = None if gate.option in {DONE, SKIP} else gate.option
    given = {"by": answer.by, "comment": answer.comment, "at": workflow.now()}
    return task.model_copy(update={"state": state, "chosen": chosen, **given})
