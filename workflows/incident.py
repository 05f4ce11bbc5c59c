"""One outage of one target, from its first alert until it is over: who is notified, who is called, what is run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from activities.catalog.activities import IncidentPolicies
from activities.review.activities import ReviewActivities
from activities.review.model import ReviewRequest
from runbook_model.bounds import REPORT_BYTES, within
from runbook_model.catalog.incident_policy import IncidentPolicy, TargetNames
from runbook_model.incident.account import Account, IncidentRequest
from runbook_model.incident.fitting import fit
from runbook_model.reports import Ending, Outcome, State
from workflows.decisions.incidents import Begin, LookUp, Move, Reopen, Stop, Wait, next_move
from workflows.incidents.notifier import Notifier
from workflows.incidents.publishing import Publishing, count_end
from workflows.incidents.reception import Reception
from workflows.incidents.remediating import Remediating
from workflows.incidents.report import IncidentReport, report
from workflows.page.options import BEST_EFFORT, ActivityOptions

LONG = 2000
"""Events; then it continues as a new run, with its account."""
LARGE = 8 * 1024 * 1024
"""Bytes of its history; likewise."""
AT_LEAST = timedelta(seconds=1)
"""What is waited whatever is due: a moment that has passed must not make the run turn in circles."""
LAST_WORDS = timedelta(minutes=10)
"""How long channels that are down are waited for at the end."""
# It reads every history of the incident.
REVIEW = ActivityOptions(**{**BEST_EFFORT, "start_to_close_timeout": timedelta(minutes=1)})


@workflow.defn
class Incident(Reception):
    """One outage of one target, from its first alert until it is over."""

    @workflow.init
    def __init__(self, request: IncidentRequest) -> None:
        info = workflow.info()
        self._request = request
        self.account = request.so_far or Account.open(request, info.run_id, info.start_time)
        self.stirred = False
        self._busy = True
        """Whether something is under way that may take its time; a wait sees by itself that the history is long."""
        self._interrupted = False
        self.remediating = Remediating(self.account, self._stir)
        self.open_inbox(self.remediating)
        self._publishing = Publishing(self.account)
        self._telling = Notifier(self.account, self._publishing.refresh)

    @workflow.run
    async def run(self, request: IncidentRequest) -> IncidentReport:
        """Do what comes next, again and again, until it is over and people were notified."""
        del request  # it is in the account
        guard = asyncio.create_task(self._interrupt_when_long(asyncio.current_task()))
        try:
            while not await self._ends_for_good():
                self.stirred = False
                move = next_move(self.account, workflow.now())
                self._report(move)
                await self._do(move)
                self._publishing.publish()
                if isinstance(move, Wait | Ending):
                    self.remediating.keep_watch()
                    self._busy = False
                    await self._something_happens(move.until if isinstance(move, Wait) else None)
                    self._busy = True
                if self._goes_on_as_new:
                    self._go_on_as_new()
        except (asyncio.CancelledError, FailureError) as error:
            if not is_cancelled_exception(error):
                raise
            if self._interrupted:
                self._go_on_as_new()
            guard.cancel()
            await self._cancelled()
        return self._end()

    def _report(self, move: Move) -> None:
        """Say what is new, before anything is started that may take its time."""
        if not isinstance(move, LookUp):
            self._telling.report_start()
        self.account.ending = move if isinstance(move, Ending) else None
        if self.account.ending is None:
            self.account.ending_since = None
        if not isinstance(move, LookUp):
            self._telling.report_news()

    async def _do(self, move: Move) -> None:
        match move:
            case LookUp():
                await self._look_up()
            case Begin():
                await self.remediating.begin(move)
            case Stop():
                await self.remediating.stop(move)
            case Reopen():
                self.account.closed = None
                self.account.decided("reopen", "the alerts", workflow.now(), move.why)

    async def _look_up(self) -> None:
        """Look up what the catalog says; where it cannot be read, nothing is started automatically until it can."""
        names = TargetNames(service=self.account.service, environment=self.account.environment)
        try:
            policy = await workflow.execute_activity_method(
                IncidentPolicies.incident_policy,
                names,
                summary="Look up what the catalog says of this target's incidents",
                **BEST_EFFORT,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            why = f"The catalog cannot be read: {error.cause or error}"
            before = self.account.policy or IncidentPolicy()
            policy = before.model_copy(update={"problem": why, "unreadable": True})
        self.account.policy, self.account.policy_at = policy, workflow.now()
        if not policy.unreadable:
            self.account.alerts.place(policy.matrix)

    async def _something_happens(self, until: datetime | None) -> None:
        """Wait until something comes, or the next moment at which something is due."""
        last_words = self.account.ending_since + LAST_WORDS if self.account.ending_since else None
        due = min(filter(None, (until, self._telling.next_due(), last_words)), default=None)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self.stirred or self._is_over or self._goes_on_as_new,
                timeout=max(due - workflow.now(), AT_LEAST) if due else None,
                timeout_summary="Until something is due",
            )

    async def _ends_for_good(self) -> bool:
        """Leave nothing under way and have the review written; between this answer and the end nothing can come up any more.

        What comes in while the review is written makes this incident continue; then the review is written again.
        """
        if self._is_over:
            await self.remediating.rest()
            await self._write_review()
        return self._is_over

    async def _write_review(self) -> None:
        """Have the review written; one that cannot be is no reason to continue, for `runbook review` prints it."""
        assert self.account.ending is not None
        info = workflow.info()
        request = ReviewRequest(
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            outcome=self.account.ending.outcome,
            summary=self.account.ending.summary,
        )
        with suppress(ActivityError):
            await workflow.execute_activity_method(
                ReviewActivities.write_review, request, summary="Write the review", **REVIEW
            )

    @property
    def _is_over(self) -> bool:
        """Whether it has ended and people know, or a channel cannot be reached in time."""
        if self.account.ending is None or self.account.ending_since is None or self.stirred:
            return False
        waited = workflow.now() >= self.account.ending_since + LAST_WORDS
        return waited or self._telling.everything_is_said

    async def _interrupt_when_long(self, main: asyncio.Task[Any] | None) -> None:
        """Interrupt what takes its time where the history gets long meanwhile: the next run does it."""
        await workflow.wait_condition(lambda: self._busy and self._goes_on_as_new)
        self._interrupted = True
        if main:
            main.cancel()

    @property
    def _goes_on_as_new(self) -> bool:
        """Whether the history is long, whatever came: repeats too, which change nothing else."""
        info = workflow.info()
        is_long = (
            info.is_continue_as_new_suggested()
            or info.get_current_history_length() > LONG
            or info.get_current_history_size() > LARGE
        )
        return is_long and not self.remediating.is_sending and workflow.all_handlers_finished()

    def _go_on_as_new(self) -> NoReturn:
        workflow.continue_as_new(self._request.model_copy(update={"so_far": fit(self.account)}))

    async def _cancelled(self) -> None:
        """End because somebody cancelled it in Temporal; a procedure under way continues by itself."""
        summary = "Cancelled in Temporal; a procedure that is under way continues."
        self.account.ending = Ending(outcome=Outcome.ABORTED, summary=summary)
        self._telling.report_news()
        with suppress(TimeoutError, asyncio.CancelledError):
            await workflow.wait_condition(lambda: self._telling.everything_is_said, timeout=LAST_WORDS)
            await self.remediating.rest()

    def _end(self) -> IncidentReport:
        """Close the account."""
        self._publishing.publish(over=True)
        count_end(self.account)
        last = report(self.account, workflow.now()).model_copy(update={"state": State.DONE})
        return within(last, REPORT_BYTES)
