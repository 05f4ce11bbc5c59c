"""The run loop of a page: its body to the end, or to the abort that a person orders, with what is then undone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from runbook_model.messages import Abort
from runbook_model.reports import Ending, State, Undone, not_undone
from workflows.decisions.endings import aborted_ending, bug_ending, failed_ending, problem_of
from workflows.page.deciding.procedure_orders import ProcedureOrders
from workflows.page.telling.record import Record

Body = Callable[[], Awaitable[Ending]]
Undo = Callable[[], Awaitable[Undone]]
Settle = Callable[[], Awaitable[str | None]]
"""Makes what has to follow a change however the run ends; says what is left where it cannot."""
T = TypeVar("T")


class EarlyEnd(Exception):  # noqa: N818 - not an error: how a page ends before its last line
    """Carries an ending from where it is known to where the page ends; only ``Page.end`` and ``unless_ending`` raise it."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.summary)
        self.ending = ending


def unless_ending(value: T | Ending) -> T:
    """Return what a decision came to, unless that is an ending: then the page ends so."""
    if isinstance(value, Ending):
        raise EarlyEnd(value)
    return value


async def ending_of(part: Awaitable[T]) -> T | Ending:
    """Return what a part of a page returns; where it ends the page early, its ending."""
    try:
        return await part
    except EarlyEnd as early:
        return early.ending


class RunLoop:
    """Runs a page's body; an abort stops it wherever it stands, but never in the middle of a change."""

    def __init__(self, record: Record, orders: ProcedureOrders, *, abort_keeps: bool) -> None:
        self._record = record
        self._orders = orders
        self._abort_keeps = abort_keeps
        self._undos: dict[int, Undo] = {}
        self._owed: dict[int, Settle] = {}
        self._left: list[str] = []
        self.announce: Callable[[str], object] = lambda _: None
        """Tells people something, and holds nothing up."""

    @property
    def stopping(self) -> bool:
        """Whether an abort was ordered."""
        return self._orders.abort is not None

    @property
    def abort_means(self) -> str:
        """What an abort that does not say whether to keep would do now."""
        if not self._undos:
            return "ends the run; nothing was changed"
        if self._orders.signing.asked_for:
            return "keeps what was changed; signed, and with keep = false, it undoes it"
        return "keeps what was changed" if self._abort_keeps else "undoes what was changed"

    def can_undo(self, place: int, undo: Undo) -> None:
        """Remember how a change is undone, by its place in the record."""
        self._undos[place] = undo

    def forget(self, place: int) -> None:
        """Forget how a change is undone: it is no longer to be."""
        self._undos.pop(place, None)

    def owes(self, place: int, settle: Settle) -> None:
        """Remember what has to follow a change however the run ends, by its place in the record."""
        self._owed[place] = settle

    def owes_nothing(self, place: int) -> None:
        """Forget what has to follow a change: it was not made."""
        self._owed.pop(place, None)

    async def settle(self) -> None:
        """Make what has to follow the changes that were made, newest first; what cannot be made is said at the end."""
        for place in sorted(self._owed, reverse=True):
            left = await self._owed[place]()
            self._owed.pop(place)
            if left:
                self._left.append(left)

    async def ready(self) -> None:
        """Wait while paused; an abort ends the hold and the body."""
        if self._orders.paused_by and not self.stopping:
            before = self._record.enter(State.PAUSED)
            try:
                await workflow.wait_condition(
                    lambda: self._orders.paused_by is None or self.stopping,
                    timeout=self._orders.signing.lapses_after,
                    timeout_summary="Until a pause that nobody signed lapses",
                )
            except TimeoutError:
                self.announce(self._orders.lapse())
            self._record.enter(before)
        self.heed_abort()

    def heed_abort(self) -> None:
        """Stop the body, or the undo, where a change swallowed its cancellation."""
        if self._orders.undo_stop if self._orders.undoing else self.stopping:
            raise asyncio.CancelledError

    async def run(self, body: Body) -> Ending:
        """Run the body to its ending; a cancellation by Temporal is an abort that does not say whether to keep."""
        running = asyncio.ensure_future(self._run_and_settle(body))
        while not running.done():
            try:
                await workflow.wait_condition(running.done)
            except asyncio.CancelledError:
                self._cancelled()
        return running.result()

    def _cancelled(self) -> None:
        if not self.stopping:
            self._orders.abort = Abort(by="Temporal", reason="the workflow was cancelled")
            self._record.decided("abort", "Temporal", "the workflow was cancelled")

    async def _run_and_settle(self, body: Body) -> Ending:
        ending = await self._run(body)
        try:
            await self.settle()
        except Exception as error:  # noqa: BLE001 - as with the body
            workflow.logger.exception("what had to follow a change failed in its own code")
            self._left.append(f"What had to follow a change failed ({type(error).__name__}: {error}).")
        if not self._left:
            return ending
        return ending.model_copy(update={"summary": " ".join((ending.summary, *self._left))})

    async def _run(self, body: Body) -> Ending:
        task = asyncio.ensure_future(body())
        await workflow.wait_condition(lambda: task.done() or self.stopping)
        if not task.done():
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return await self._after_abort()
        except FailureError as error:
            if self.stopping:
                return await self._after_abort()
            return failed_ending(error, self._record.report.changes)
        except Exception as error:  # noqa: BLE001 - a bug must end the run with its changes shown, not block it for ever
            workflow.logger.exception("the procedure failed in its own code")
            return bug_ending(error, self._record.report.changes)

    async def _after_abort(self) -> Ending:
        order = self._orders.abort or Abort(by="Temporal", reason="the workflow was cancelled")
        keeps = self._abort_keeps or bool(self._orders.signing.asked_for)
        keep = keeps if order.keep is None else order.keep
        if keep or self._orders.undo_stop:
            for place in reversed(self._undos):
                self._record.changed(place, kept=True, undone=self._kept(place))
        else:
            await self._undo_all()
        stop = None if keep else self._orders.undo_stop
        return aborted_ending(order, self._record.report.changes, keeps=keep, undo_stop=stop)

    async def _undo_all(self) -> None:
        if not self._undos:
            return
        self._orders.undoing = True
        self._record.heading("Undo what was changed")
        self._record.summary("Undoing what was changed. A second abort stops that and keeps what is there.")
        for place, undo in reversed(self._undos.items()):
            if self._orders.undo_stop:
                self._record.changed(place, kept=True, undone=self._kept(place))
            else:
                self._record.undone(place, await self._unless_stopped(undo))

    async def _unless_stopped(self, undo: Undo) -> Undone:
        """Undo one change, until a second abort stops that too; a call under way is waited for, as ever."""
        task = asyncio.ensure_future(self._undo(undo))
        await workflow.wait_condition(lambda: task.done() or self._orders.undo_stop is not None)
        if not task.done():
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return self._stopped()

    def _stopped(self) -> Undone:
        """Say how far the undo came that was stopped."""
        steps = self._record.report.steps
        at = f" at: {steps[-1].step}" if steps else ""
        return not_undone(f"the undo was stopped{at}")

    def _kept(self, place: int) -> str:
        return "kept" if self._record.report.changes[place].certain else "kept, if it was made"

    async def _undo(self, undo: Undo) -> Undone:
        try:
            return await undo()
        except FailureError as error:
            if self._orders.undo_stop and is_cancelled_exception(error):
                return self._stopped()
            return not_undone(problem_of(error).line)
        except Exception as error:  # noqa: BLE001 - as with the body: other changes must still be undone, and this one shown
            workflow.logger.exception("an undo failed in its own code")
            return not_undone(f"it failed in its own code ({type(error).__name__}: {error})")
