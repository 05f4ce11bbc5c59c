"""The words that runbook pages are written in: heading, read, checkpoint, change, watch.

A page is one run of one procedure. Its body is an ordinary coroutine that says these words in order and returns an
ending; the page sees to everything that is the same for all procedures: abort at any moment, pause, undo, and what is
shown meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.durations import format_duration
    from activities.predecessor import Predecessor, RunHistory, RunName
    from activities.waits import AwaitedDrift, Waits
    from workflows import ids
    from workflows.decisions.endings import aborted_ending, bug_ending, certainly_not_made, failed_ending
    from workflows.messages import Abort, Ending, Outcome, Plan, ProcedureRequest, Report, State
    from workflows.steps.asking import Asking, Question
    from workflows.steps.inbox import Inbox
    from workflows.steps.record import Record
    from workflows.steps.running import CHANGE, IDLE_WATCH, NOTE, READ, WATCH, How

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.models import Fence

P = TypeVar("P")
R = TypeVar("R")
SomePlan = TypeVar("SomePlan", bound=Plan)
Body = Callable[[], Awaitable[Ending]]
Undo = Callable[[], Awaitable[str]]


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
        self._asking = Asking(self.record, self.inbox, self._step)
        self._predecessor: Predecessor | None = None

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
        await self._ready()
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
        await self._ready()
        try:
            await self._step(words, do, given, NOTE)
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
        """Ask people for their yes to a plan, where the policy, the plan itself or an earlier run makes it needed.

        While it is asked, the service is watched: when it is no longer as the plan saw it, approvals are void, a new
        plan is made and the gate opens again. After the yes the plan is made once more, from a fresh reading.
        """
        left_behind = await self._left_behind()
        while True:
            why_yes = plan.needs_yes or left_behind
            if not target.approvals.needed and not why_yes:
                return plan
            asked = Question(
                f"{question} {why_yes}" if why_yes else question,
                policy=target.approvals,
                hash=plan.hash,
                plan=plan,
                abort_means=self._abort_means,
            )
            drift = self._drift(plan.fence, target) if plan.fence else None
            gate = await self._asking.ask(asked, meanwhile=drift)
            if gate is None:
                waited = format_duration(target.approvals.timeout)
                return self.ended(
                    Outcome.NOT_APPROVED, f"Nobody decided within {waited}; nothing was changed."
                )
            again = await plan_again()
            if isinstance(again, Ending) or (again.hash == plan.hash and gate.decided):
                return again
            if again.hash != plan.hash:
                self.record.decided(
                    "void", "the service", f"it changed: plan {plan.hash} is replaced by {again.hash}"
                )
            plan = again

    async def choose(self, question: str, why: str, target: Target, options: tuple[str, ...]) -> str | None:
        """Let a person choose how to go on; None when nobody does in time."""
        about = hashlib.sha256(f"{question}{why}{workflow.now()}".encode()).hexdigest()[:16]
        asked = Question(
            question,
            policy=target.approvals,
            hash=about,
            options=options,
            abort_means=self._abort_means,
            why=why,
        )
        gate = await self._asking.ask(asked)
        return gate.option if gate else None

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

    async def _left_behind(self) -> str | None:
        """Say what the run before this one had changed when it was cut off; not knowing counts as something."""
        if self._predecessor is None:
            info = workflow.info()
            run = RunName(workflow_id=info.workflow_id, run_id=info.run_id)
            words = "Look whether an earlier run was cut off"
            try:
                self._predecessor = await self._step(words, RunHistory.read_predecessor, run, NOTE)
            except ActivityError as error:
                if self._stopping or is_cancelled_exception(error):
                    raise
                return "whether an earlier run was cut off in the middle of a change is not known"
        return self._predecessor.told if self._predecessor.changes else None

    @property
    def _abort_means(self) -> str:
        if not self._undos:
            return "ends the run; nothing was changed"
        return "keeps what was changed" if self._abort_keeps else "undoes what was changed"

    async def _drift(self, fence: Fence, target: Target) -> None:
        how = How(**{**IDLE_WATCH, "task_queue": self._watch_queue})
        awaited = AwaitedDrift(target=target, fence=fence)
        await self._step("Watch that nothing changes while people decide", Waits.await_drift, awaited, how)
