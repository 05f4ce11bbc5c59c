"""The verbs that runbook pages are written in: heading, read, checkpoint, change, watch.

A page is one run of one procedure. Its body is an ordinary coroutine that uses these verbs in order and returns an
ending, or ends the page earlier; the page sees to everything that is the same for all procedures: abort at any moment,
pause, undo, and what is shown meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar, overload

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from runbook_model.authority.order import Authority
from runbook_model.bounds import REPORT_BYTES, within
from runbook_model.catalog.target import Target
from runbook_model.incident.messages import JOINED, Joined
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from runbook_model.plans import Plan
from runbook_model.releases.release import Release
from runbook_model.reports import Ending, Outcome, Problem, Report, Task, Undone
from workflows.page.changes import Changes, Intended, wait_for_brake
from workflows.page.deciding.child_relay import ChildRelay
from workflows.page.deciding.inbox import Inbox, reading
from workflows.page.deciding.procedure_orders import ProcedureOrders, run_child
from workflows.page.locks import Locks
from workflows.page.options import BEST_EFFORT, CHANGE, READ, ActivityOptions, run_step, watches
from workflows.page.people import People
from workflows.page.run_loop import Body, EarlyEnd, RunLoop, Settle, Undo, ending_of, unless_ending
from workflows.page.telling.incident_link import IncidentLink
from workflows.page.telling.record import Record

P = TypeVar("P")
R = TypeVar("R")
T = TypeVar("T")
SomePlan = TypeVar("SomePlan", bound="Plan")


class Page:
    """One run of one procedure."""

    def __init__(self, procedure: str, *, abort_keeps: bool = False) -> None:
        """Open a page.

        Args:
            procedure: its name, as in ``docs/runbooks``.
            abort_keeps: whether an abort that does not say so keeps what was changed.
        """
        self.record = Record(procedure)
        self.child_relay = ChildRelay(self.record)
        self.incident_link = IncidentLink(self.record)
        self.automatic = False
        """Whether no person asked for the run."""
        self.inbox = Inbox(self.record)
        self.orders = ProcedureOrders(self.inbox, self.record, self.child_relay)
        self.child_relay.listen(self.inbox)
        self.inbox.on(JOINED, reading(Joined), self.incident_link.join)
        self._run_loop = RunLoop(self.record, self.orders, abort_keeps=abort_keeps)
        self.watch_queue = ""
        """The queue of this environment's long waits."""
        self.locks = Locks(self.record, self._step)
        self._people = People(
            self.record, self.orders, self.child_relay, self._run_loop, self._step, self.locks
        )
        self._run_loop.announce = self._people.announce
        self._people.listen(self.inbox)
        self._changes = Changes(
            self.record, self._run_loop, self._people, self.locks, self._step, self.wait_for_brake
        )
        self.orders.undo_lands_on_bad = self._changes.bad_release_after_undo

    @property
    def report(self) -> Report:
        """The page as it stands."""
        return self.record.report

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """What was signed for the run's changes."""
        return self._people.carried.authorities

    def carry_on(self, authorities: tuple[Authority, ...]) -> None:
        """Bring along what was signed for another run, whose change this one ends."""
        self._people.carried.add(authorities)

    def heading(self, text: str) -> None:
        """Start a part of the page; the text is a ``##`` heading of the page in ``docs/runbooks``."""
        self.record.heading(text)

    @overload
    async def read(
        self, words: str, do: Callable[[Any, P], Awaitable[R]], given: P, *, options: ActivityOptions = ...
    ) -> R: ...
    @overload
    async def read(
        self, words: str, do: Callable[[Any, P], R], given: P, *, options: ActivityOptions = ...
    ) -> R: ...
    async def read(
        self, words: str, do: Callable[[Any, P], Any], given: P, *, options: ActivityOptions = READ
    ) -> Any:
        """Read something from outside; repeated until it answers."""
        await self._run_loop.ready()
        return await self._step(words, do, given, options)

    async def checkpoint(
        self,
        plan: SomePlan,
        target: Target,
        question: str,
        plan_again: Callable[[], Awaitable[SomePlan | Ending]],
    ) -> SomePlan:
        """Ask people for their yes to a plan, where one is needed; ends the page when it is not given.

        Args:
            plan: what people agree to, by its hash.
            target: the service, whose policy says who has to agree and how long is waited.
            question: one sentence.
            plan_again: makes the plan again when the service changes meanwhile, and once more after the yes.

        Returns:
            the plan as it was made last.
        """
        return self.unless_ending(await self._people.checkpoint(plan, target, question, plan_again))

    async def choose(self, question: str, why: str, target: Target, options: tuple[str, ...]) -> str | None:
        """Let a person choose how to continue; None when nobody does in time."""
        return await self._people.choose(question, why, target, options)

    async def task(self, task: Task, target: Target, ways: Sequence[str] = ()) -> str:
        """Ask people to do what the remedy waits for; ends the page when it is skipped or nobody answers.

        Args:
            task: what is to be done, and what to look at.
            target: the service, whose policy says how long is waited, and what silence does.
            ways: what a person may let the page do instead, by name.

        Returns:
            ``done``, which the page has to verify, or one of the ways.
        """
        return self.unless_ending(await self._people.task(task, target, ways))

    def add_follow_up(self, task: Task) -> None:
        """Leave a task open for the review, without holding up the run or its lock."""
        self._people.add_follow_up(task)

    async def try_read(self, words: str, do: Callable[[Any, P], R], given: P) -> R | None:
        """Read something that a decision can do without; None when it cannot be read, which the page shows."""
        _, result = await self._try(words, do, given)
        return result

    async def watch(
        self, words: str, do: Callable[[Any, P], Awaitable[R]], given: P, *, remembers: bool = False
    ) -> R:
        """Wait for something outside, however long it takes; a pause does not stop it.

        Args:
            words: the step's words.
            do: the activity.
            given: its argument.
            remembers: its heartbeat holds what it saw, for the next attempt.
        """
        result: R = await self._step(words, do, given, *watches(self.watch_queue, remembers=remembers))
        return result

    async def change(  # noqa: PLR0913 - three of them are words for the report
        self,
        words: str,
        do: Callable[[Any, P], R],
        given: P,
        *,
        action: str,
        before: str,
        after: str,
        undo: Undo | None = None,
        settle: Settle | None = None,
        options: ActivityOptions = CHANGE,
    ) -> R:
        """Change something outside, once.

        From before the first attempt on the change counts as possibly made, until it is known not to be.

        Args:
            words: the step's words.
            do: the fenced activity.
            given: its argument.
            action: the call that is made, for the report.
            before: what was, as text.
            after: what shall be, as text.
            undo: puts back what was, from a fresh reading, and says what came of it.
            settle: makes what has to follow it however the run ends, and says what is left where it cannot.
            options: other activity options, where the time of a change is too short.
        """
        intended = Intended(action, before, after, undo, settle)
        result: R = await self._changes.make(words, do, given, intended, options)
        return result

    def announce(self, text: str, words: str) -> None:
        """Tell people something now; nothing waits for it.

        Args:
            text: what they read.
            words: the step's words.
        """
        self._people.announce(text, words)

    async def follow_up(
        self, words: str, do: Callable[[Any, P], object], given: P, *, action: str, before: str, after: str
    ) -> Problem | None:
        """Make a change that has to follow another, also after an abort: said only by what ``settle`` of a change runs."""
        return await self._changes.follow_up(words, do, given, Intended(action, before, after, None))

    async def settle(self) -> None:
        """Make what has to follow the changes so far; what the body does not get to, the end of the run does."""
        await self._run_loop.settle()
        self._run_loop.heed_abort()

    async def ready(self) -> None:
        """Wait while a person paused the run; every change says this by itself."""
        await self._run_loop.ready()

    async def wait_for_brake(self) -> None:
        """Wait while a person's brake is on, where no person asked for the run; every change says this by itself."""
        if self.automatic:
            await wait_for_brake(self.record, self._step)
            await self._run_loop.ready()

    def can_undo(self, place: int, undo: Undo) -> None:
        """Remember how a change that the body notes by itself is undone."""
        self._run_loop.can_undo(place, undo)

    def undo_brings_back(self, release: Release) -> None:
        """Note the release before the first change: an abort that undoes onto a bad one needs a confirmation."""
        self._changes.undo_brings_back(release)

    def undone(self, place: int, came: Undone) -> None:
        """Note that the body undid a change by itself."""
        self._run_loop.forget(place)
        self.record.undone(place, came)

    async def restore(
        self, words: str, do: Callable[[Any, P], R], given: P, *, options: ActivityOptions = CHANGE
    ) -> R:
        """Undo a change by another fenced one; said only by what ``undo`` of a change runs."""
        result: R = await self._step(words, do, given, options)
        self._run_loop.heed_abort()
        return result

    async def last_look(self, words: str, do: Callable[[Any, P], R], given: P) -> R | None:
        """Read something for the account of an undo that failed or was stopped; None when it cannot be read."""
        try:
            result: R = await self._step(words, do, given, BEST_EFFORT)
        except ActivityError:
            return None
        return result

    async def note(self, words: str, do: Callable[[Any, P], object], given: P) -> bool:
        """Write something down that nothing depends on; failing is noted and stops nothing. Returns whether it went."""
        went, _ = await self._try(words, do, given)
        return went

    async def child(self, words: str, procedure: str, request: ProcedureRequest) -> Report:
        """Run another procedure under this one's lock, and wait for its report.

        An abort reaches the child first, with the same order to keep or to undo, and is waited for.
        """
        await self._run_loop.ready()
        wanted = request.model_copy(update={"automatic": self.automatic, "start": self._people.carried.start})
        return await run_child(words, procedure, wanted, self.record, self.child_relay, self.orders)

    def end(self, outcome: Outcome, summary: str, **rest: Any) -> NoReturn:
        """End the page here and now, from however deep inside it; what was changed stays, as with every ending."""
        raise EarlyEnd(Ending(outcome=outcome, summary=summary, **rest))

    def unless_ending(self, value: T | Ending) -> T:
        """Return what a decision came to, unless that is an ending: then the page ends so."""
        return unless_ending(value)

    async def ending_of(self, part: Awaitable[T]) -> T | Ending:
        """Return what a part of the page returns, or the ending that it would end the page with."""
        return await ending_of(part)

    async def run(self, request: ProcedureRequest, body: Body) -> Report:
        """Run the page's body to its end, or to the abort that a person orders meanwhile."""
        self.record.begin(request)
        self.incident_link.begin(request)
        self.automatic = request.automatic
        self._people.carried.begin(request)
        self.locks.begin(request)
        self.watch_queue = ids.watch_queue(request.environment)
        ending = await self._run_loop.run(lambda: self._people.named(body))
        self.orders.closed = True
        self.record.end(ending)
        await self.incident_link.report_end()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return within(self.report, REPORT_BYTES)

    async def _step(
        self, words: str, do: Callable[[Any, P], Any], given: P, *in_turn: ActivityOptions
    ) -> Any:
        return await run_step(self.record, words, do, self._people.carried.with_authorities(given), in_turn)

    async def _try(self, words: str, do: Callable[[Any, P], R], given: P) -> tuple[bool, R | None]:
        await self._run_loop.ready()
        try:
            return True, await self._step(words, do, given, BEST_EFFORT)
        except ActivityError as error:
            if self._run_loop.stopping or is_cancelled_exception(error):
                raise
            return False, None
