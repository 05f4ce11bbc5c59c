"""The brake, as an incident asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from activities.temporal.brakes import BrakeActivities
from runbook_model.brakes import Block, Question, Reservation
from runbook_model.incident.account import Account
from runbook_model.names import ids
from workflows.decisions.incidents import Begin
from workflows.page.options import BEST_EFFORT, LOOK, Background

ASK_AGAIN = timedelta(minutes=1)


class IncidentBrake:
    """Asks the brake of an incident's environment, and reports it what became of a start."""

    def __init__(self, account: Account, background: Background, stir: Callable[[], None]) -> None:
        self._account = account
        self._background = background
        self._stir = stir
        self._waiting: asyncio.Task[None] | None = None

    async def reserve(self, move: Begin, key: str) -> Block | None:
        """Ask whether a procedure may be started without a person; a brake that does not answer holds."""
        assert self._account.policy is not None
        rhythm = self._account.policy.rhythm
        wanted = Reservation(
            key=key,
            environment=self._account.environment,
            service=self._account.service,
            procedure=move.procedure,
            limits=self._account.policy.brake,
            cool_down=rhythm.cool_down,
            cool_down_max=rhythm.cool_down_max,
        )
        words = f"Ask the brake whether {move.procedure} may start"
        try:
            answer = await workflow.execute_activity_method(
                BrakeActivities.reserve, wanted, summary=words, **BEST_EFFORT
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return unreachable(f"the brake does not answer: {error.cause or error}")
        return answer.held

    def finished(self, key: str) -> None:
        """Tell the brake that what it let through has ended."""
        self._send("finished", key)

    def not_started(self, key: str) -> None:
        """Tell the brake that what it let through was not started."""
        self._send("not_started", key)

    def keep_watch(self) -> None:
        """Wait until a person's brake is off, where one holds the incident."""
        held = self._account.held
        if held and held.kind == "person" and (self._waiting is None or self._waiting.done()):
            self._waiting = self._background.run(self._await_off())

    @property
    def waiting(self) -> asyncio.Task[None] | None:
        """The wait, if there is one."""
        return self._waiting

    async def _await_off(self) -> None:
        question = Question(environment=self._account.environment, service=self._account.service)
        words = "Wait until the brake is off"
        with suppress(FailureError):
            await workflow.execute_activity_method(
                BrakeActivities.await_brake, question, summary=words, **LOOK
            )
            if self._account.held and self._account.held.kind == "person":
                self._account.held = None
            self._stir()

    def _send(self, signal: str, key: str) -> None:
        brake = workflow.get_external_workflow_handle(ids.brake_id(self._account.environment))
        self._background.send(brake.signal(signal, key))


def unreachable(why: str) -> Block:
    """Hold for a minute, for what could not be reached."""
    return Block(kind="unreachable", why=why, until=workflow.now() + ASK_AGAIN)
