"""The changes of a page: each is made once, with its undo, and asked for again where a yes does not count.

Before a change that no person asked for, the brake is asked again; while a person holds it the run stands still.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.temporal.brakes import BrakeActivities
from runbook_model.brakes import Question
from runbook_model.releases.release import Release
from runbook_model.reports import Problem, State
from runbook_model.text.sentences import sentence
from workflows.decisions.endings import certainly_not_made, not_warranted, problem_of
from workflows.page.deciding.asking import Step
from workflows.page.locks import Locks
from workflows.page.options import CHANGE, LOOK, READ, ActivityOptions
from workflows.page.people import People
from workflows.page.run_loop import RunLoop, Settle, Undo, unless_ending
from workflows.page.telling.record import Record


@dataclass(frozen=True)
class Intended:
    """A change as the report shows it, and what undoes it."""

    action: str
    before: str
    after: str
    undo: Undo | None
    settle: Settle | None = None
    """What has to follow it however the run ends."""


class Changes:
    """Makes the changes of one run."""

    def __init__(
        self,
        record: Record,
        run_loop: RunLoop,
        people: People,
        locks: Locks,
        step: Step,
        wait_for_brake: Callable[[], Awaitable[None]],
    ) -> None:
        self._record = record
        self._run_loop = run_loop
        self._people = people
        self._locks = locks
        self._step = step
        self._wait_for_brake = wait_for_brake
        self._undo_ends_on: Release | None = None

    async def make(
        self,
        words: str,
        do: Callable[[Any, Any], Any],
        given: Any,
        intended: Intended,
        options: ActivityOptions,
    ) -> Any:
        """Make a change; from before its first attempt on it counts as possibly made, until it is known not to be."""
        await self._run_loop.ready()
        await self._wait_for_brake()
        unless_ending(await self._locks.renew())
        place = self._record.intend(intended.action, intended.before, intended.after)
        if intended.undo:
            self._run_loop.can_undo(place, intended.undo)
        if intended.settle:
            self._run_loop.owes(place, intended.settle)
        try:
            result = await self._step(words, do, given, options)
        except ActivityError as error:
            why = not_warranted(error)
            if why or certainly_not_made(error):
                self._run_loop.forget(place)
                self._run_loop.owes_nothing(place)
                self._record.not_made(place)
            if why is None:
                raise
            # Nothing was sent: people are asked again, and it is tried again with what they sign now.
            unless_ending(await self._people.ask_again(why))
            return await self.make(words, do, given, intended, options)
        self._record.changed(place, certain=True)
        self._run_loop.heed_abort()
        return result

    async def follow_up(
        self, words: str, do: Callable[[Any, Any], Any], given: Any, intended: Intended
    ) -> Problem | None:
        """Make a change that has to follow another, also after an abort; why it could not be made, or None."""
        place = self._record.intend(intended.action, intended.before, intended.after)
        try:
            result = await self._step(words, do, given, CHANGE)
        except ActivityError as error:
            if certainly_not_made(error) or is_cancelled_exception(error):
                self._record.not_made(place)
            if is_cancelled_exception(error):
                raise
            return problem_of(error)
        if result.changed:
            self._record.changed(place, certain=True)
        else:
            self._record.not_made(place)
        return None

    def undo_brings_back(self, release: Release) -> None:
        """Note the release before the first change."""
        self._undo_ends_on = self._undo_ends_on or release

    def bad_release_after_undo(self) -> str | None:
        """Name the release that an abort would bring back, where it is a bad one."""
        release = self._undo_ends_on
        return release.name if release and release.is_bad else None


async def wait_for_brake(record: Record, step: Step) -> None:
    """Return once no person holds the brake of the run's target."""
    report = record.report
    question = Question(environment=report.environment, service=report.service)
    answer = await step("Ask the brake", BrakeActivities.read_brake, question, READ)
    held = getattr(answer, "held", None)
    if held is None:
        return
    record.decided("hold", "the brake", held.why)
    record.summary(f"No automatic change is made: {sentence(held.why)}")
    before = record.enter(State.PAUSED)
    await step("Wait until the brake is off", BrakeActivities.await_brake, question, LOOK)
    record.enter(before)
