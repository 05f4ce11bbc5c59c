"""The words that runbook pages are written in: heading, read, checkpoint, change, watch.

A page is one run of one procedure. Its body is an ordinary coroutine that says these words in order and returns an
ending; the page sees to everything that is the same for all procedures: abort at any moment, pause, undo, and what is
shown meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast, overload

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.waits import AwaitedDrift, Waits
    from workflows import ids
    from workflows.decisions.endings import aborted_ending, bug_ending, certainly_not_made, failed_ending
    from workflows.messages import Abort, Checkpoint, Ending, Outcome, Plan, ProcedureRequest, Report, State
    from workflows.steps.gate import Gate
    from workflows.steps.inbox import Inbox
    from workflows.steps.record import Record

if TYPE_CHECKING:
    from activities.catalog import Target

P = TypeVar("P")
R = TypeVar("R")
SomePlan = TypeVar("SomePlan", bound=Plan)
Body = Callable[[], Awaitable[Ending]]
Undo = Callable[[], Awaitable[str]]


class How(TypedDict, total=False):
    """How an activity is run."""

    task_queue: str
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


READ = How(
    start_to_close_timeout=timedelta(seconds=60),
    schedule_to_close_timeout=timedelta(minutes=30),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=15)),
)
# A change is never cut in two: an abort waits for its answer. It is longer than its client's timeouts, so that when an
# attempt runs out, nothing that it sent is still under way.
CHANGE = How(
    start_to_close_timeout=timedelta(seconds=20),
    schedule_to_close_timeout=timedelta(minutes=30),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=15)),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
WATCH = How(
    start_to_close_timeout=timedelta(days=7),
    heartbeat_timeout=timedelta(seconds=2),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10)
    ),
)
IDLE_WATCH = How(**{**WATCH, "heartbeat_timeout": timedelta(seconds=30)})


class Page:
    """One run of one procedure."""

    def __init__(self, procedure: str, *, abort_keeps: bool = False) -> None:
        """Open a page.

        Args:
            procedure: its name, as in ``docs/runbooks``.
            abort_keeps: whether an abort that does not say so keeps what was changed.
        """
        self.record = Record(procedure)
        self.inbox = Inbox(self.record)
        self._abort_keeps = abort_keeps
        self._undos: list[tuple[int, Undo]] = []
        self._undoing = False
        self._watch_queue = ""

    @property
    def report(self) -> Report:
        """The page as it stands."""
        return self.record.report

    # --- the words ----------------------------------------------------------------------------------------------

    def heading(self, text: str) -> None:
        """Begin a part of the page; the text is a ``##`` heading of the page in ``docs/runbooks``."""
        self.record.heading(text)

    @overload
    async def read(self, words: str, do: Callable[[Any, P], Awaitable[R]], given: P) -> R: ...
    @overload
    async def read(self, words: str, do: Callable[[Any, P], R], given: P) -> R: ...
    async def read(self, words: str, do: Callable[[Any, P], Any], given: P) -> Any:
        """Read something from outside; repeated until it answers."""
        return await self._step(words, do, given, READ)

    async def watch(self, words: str, do: Callable[[Any, P], Awaitable[R]], given: P) -> R:
        """Wait for something outside, however long it takes; a pause does not stop it."""
        how = How(**{**WATCH, "task_queue": self._watch_queue})
        result: R = await self._step(words, do, given, how)
        return result

    async def change(
        self,
        words: str,
        do: Callable[[Any, P], R],
        given: P,
        *,
        action: str,
        before: str,
        after: str,
        undo: Undo | None = None,
    ) -> R:
        """Change something outside, once.

        From before the first attempt on the change counts as possibly made, until it is known not to be.

        Args:
            words: the step's words.
            do: the fenced activity.
            given: its argument.
            action: the call that is made, for the report.
            before: what was, in words.
            after: what shall be, in words.
            undo: puts back what was, from a fresh reading, and says what came of it.
        """
        await self._ready()
        place = self.record.intend(action, before, after)
        if undo:
            self._undos.append((place, undo))
        try:
            result: R = await self._step(words, do, given, CHANGE)
        except ActivityError as error:
            if certainly_not_made(error):
                self.record.not_made(place)
                self._undos = [(at, back) for at, back in self._undos if at != place]
            raise
        self.record.changed(place, detail=None)
        self._heed_abort()
        return result

    async def restore(self, words: str, do: Callable[[Any, P], R], given: P) -> R:
        """Undo a change by another fenced one; said only by what ``undo`` of a change runs."""
        result: R = await self._step(words, do, given, CHANGE)
        return result

    async def note(self, words: str, do: Callable[[Any, P], R], given: P) -> bool:
        """Write something down that nothing depends on; failing is noted and stops nothing. Returns whether it went."""
        try:
            await self._step(words, do, given, CHANGE)
        except ActivityError as error:
            if self._stopping or is_cancelled_exception(error):
                raise
            return False
        return True

    async def checkpoint(
        self,
        plan: SomePlan,
        target: Target,
        question: str,
        plan_again: Callable[[], Awaitable[SomePlan | Ending]],
    ) -> SomePlan | Ending:
        """Ask people for their yes to a plan, where the policy or the plan itself wants it.

        While it is asked, the service is watched: when it is no longer as the plan saw it, approvals are void, a new
        plan is made and the gate opens again. After the yes the plan is made once more, from a fresh reading.
        """
        policy = target.approvals
        needed = max(policy.needed, 1 if plan.needs_yes else 0)
        if not needed:
            return plan
        while True:
            gate = self._open(plan, target, question, needed)
            answered = await self._until_answered(gate, plan, target)
            self._close(gate)
            if not answered:
                return _silence(gate, policy.timeout)
            again = await plan_again()
            if isinstance(again, Ending):
                return again
            if again.hash == plan.hash and gate.decided:
                return again
            if again.hash != plan.hash:
                self.record.decided(
                    "void", "the service", f"it changed: plan {plan.hash} is replaced by {again.hash}"
                )
            plan = again

    def ended(self, outcome: Outcome, summary: str, **rest: Any) -> Ending:
        """End the page."""
        return Ending(outcome=outcome, summary=summary, **rest)

    # --- the run ------------------------------------------------------------------------------------------------

    async def run(self, request: ProcedureRequest, body: Body) -> Report:
        """Run the page's body to its end, or to the abort that a person orders meanwhile."""
        self.record.begin(request)
        self._watch_queue = ids.watch_queue(request.environment)
        task = asyncio.ensure_future(body())
        try:
            await workflow.wait_condition(lambda: task.done() or self._stopping)
        except asyncio.CancelledError:
            if not self._stopping:
                self.inbox.abort = Abort(by="Temporal", reason="the workflow was cancelled")
                self.record.decided("abort", "Temporal", "the workflow was cancelled")
        ending = await self._settle(task)
        self.inbox.closed = True
        self.record.end(ending)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.report

    async def _settle(self, task: asyncio.Future[Ending]) -> Ending:
        """Let the body end, or stop it and undo what was ordered to be undone."""
        if not task.done():
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return await self._after_abort()
        except FailureError as error:
            return await self._after_abort() if self._stopping else failed_ending(error, self.report.changes)
        except Exception as error:  # noqa: BLE001 - a bug must end the run with its changes told, not block it for ever
            workflow.logger.exception("the procedure failed in its own code")
            return bug_ending(error, self.report.changes)

    async def _after_abort(self) -> Ending:
        order = self.inbox.abort or Abort(by="Temporal", reason="the workflow was cancelled")
        keep = self._abort_keeps if order.keep is None else order.keep
        self._undoing = True
        if self._undos and not keep:
            self.record.heading("Undo what was changed")
        for place, undo in reversed(self._undos):
            self.record.changed(place, undone="kept" if keep else await self._undo(undo))
        return aborted_ending(order, self.report.changes)

    async def _undo(self, undo: Undo) -> str:
        try:
            return await undo()
        except (FailureError, asyncio.CancelledError) as error:
            cause = error.__cause__ or error
            return f"could not undo: {cause}"

    # --- below the words ----------------------------------------------------------------------------------------

    @property
    def _stopping(self) -> bool:
        return self.inbox.abort is not None

    async def _ready(self) -> None:
        """Hold while paused; an abort ends the hold."""
        if self.inbox.paused_by and not self._stopping:
            before = self.record.enter(State.PAUSED)
            await workflow.wait_condition(lambda: self.inbox.paused_by is None or self._stopping)
            self.record.enter(before)
        self._heed_abort()

    def _heed_abort(self) -> None:
        """Stop the body where a change swallowed its cancellation."""
        if self._stopping and not self._undoing:
            raise asyncio.CancelledError

    async def _step(self, words: str, do: Callable[[Any, P], Any], given: P, how: How) -> Any:
        if "heartbeat_timeout" not in how:
            await self._ready()
        place = self.record.begin_step(words)
        try:
            result: Any = await workflow.execute_activity(
                cast("Callable[[P], Awaitable[Any]]", do),
                given,
                activity_id=f"{self.report.heading} #{place + 1}",
                summary=words,
                **how,
            )
        except FailureError as error:
            cancelled = is_cancelled_exception(error)
            self.record.end_step(
                place, "cancelled" if cancelled else "failed", str(error.__cause__ or error)[:500]
            )
            raise
        except asyncio.CancelledError:
            self.record.end_step(place, "cancelled")
            raise
        self.record.end_step(place, "done", getattr(result, "told", None))
        return result

    def _open(self, plan: Plan, target: Target, question: str, needed: int) -> Gate:
        policy = target.approvals
        opened = workflow.now()
        would = (
            "ends here; nothing was changed" if not self._undos else "stops and asks the order: keep or undo"
        )
        view = Checkpoint(
            question=question,
            plan=plan,
            plan_hash=plan.hash,
            approvals_needed=needed,
            abort_means=would,
            opened=opened,
            closes=opened + policy.timeout,
        )
        gate = Gate(view, policy, self.report.requested_by)
        self.inbox.gate = gate
        self.record.planned(plan)
        self.record.enter(State.AWAITING_APPROVAL)
        self.record.checkpoint(view)
        self.record.summary(f"Waiting for {needed} approval{'s' if needed > 1 else ''}: {plan.headline}.")
        return gate

    def _close(self, gate: Gate) -> None:
        names = ", ".join(given.by for given in gate.view.approvals) or "nobody"
        self.inbox.last_gate = f"the checkpoint is closed (answered by {names})"
        self.inbox.gate = None
        self.record.checkpoint(None)
        self.record.enter(State.RUNNING)

    async def _until_answered(self, gate: Gate, plan: Plan, target: Target) -> bool:
        """Wait for a decision or for drift; False when neither came in time."""
        drift = asyncio.ensure_future(self._drift(plan, target))
        try:
            await workflow.wait_condition(
                lambda: (
                    gate.decided or (drift.done() and not drift.cancelled() and drift.exception() is None)
                ),
                timeout=gate.view.closes - workflow.now(),
                timeout_summary="Until silence decides",
            )
        except TimeoutError:
            return False
        finally:
            drift.cancel()
            with suppress(FailureError, asyncio.CancelledError):
                await drift
        return True

    async def _drift(self, plan: Plan, target: Target) -> None:
        how = How(**{**IDLE_WATCH, "task_queue": self._watch_queue})
        awaited = AwaitedDrift(target=target, fence=plan.fence)
        await self._step("Watch that nothing changes while people decide", Waits.await_drift, awaited, how)


def _silence(gate: Gate, timeout: timedelta) -> Ending:
    return Ending(
        outcome=Outcome.NOT_APPROVED,
        summary=f"Nobody decided within {timeout}: {len(gate.view.approvals)} of {gate.view.approvals_needed} approvals. "
        "Nothing was changed.",
    )
