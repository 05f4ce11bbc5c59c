"""What a run holds next to its id, which is the lock of its target: children of its own, which end when it ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from activities.temporal.locks import LockActivities
from runbook_model.locks import Holder, LockQuestion, LockRequest
from runbook_model.messages import ProcedureRequest
from runbook_model.names.ids import answered_at, terraform_lock_id
from runbook_model.reports import Ending
from workflows.decisions.rollback.releases import refused
from workflows.page.deciding.asking import Step
from workflows.page.options import READ, TASK_TIMEOUT, ActivityOptions
from workflows.page.telling.record import Record

ROOM = ActivityOptions(**{**READ, "schedule_to_close_timeout": timedelta(seconds=100)})
"""Long enough that a holder whose worker is gone is known for one: a worker that lives asks for work every minute."""


@dataclass
class _Held:
    what: str
    child: workflow.ChildWorkflowHandle[Any, Any]
    replaces: bool
    seed: int
    """The run's random seed when it took the lock: Temporal's Reset gives a run another, and its locks end with the run before."""

    @property
    def is_certain(self) -> bool:
        """Whether nothing is known that took the lock away."""
        return not self.child.done() and self.seed == workflow.random_seed()


class Locks:
    """Takes locks and releases them."""

    def __init__(self, record: Record, step: Step) -> None:
        self._record = record
        self._step = step
        self._replace = False
        self._held: dict[str, _Held] = {}
        self._state: tuple[str, str] | None = None
        """The lock of Terraform's state that the run works on, once it is known, and what it is called."""

    def begin(self, request: ProcedureRequest) -> None:
        """Note whether whoever holds a lock is to make room."""
        self._replace = request.replace

    async def hold(self, lock: str, what: str, *, replaces: bool = False) -> Ending | None:
        """Take a lock, or end refused because another run holds it; what is held already stays so.

        Args:
            lock: its id.
            what: what is locked.
            replaces: a run that holds it is aborted, where the request says to replace; otherwise only a holder that
                cannot end by itself has to go.
        """
        held = self._held.get(lock)
        if held and held.is_certain:
            return None
        if held and held.child.done():
            with suppress(FailureError, asyncio.CancelledError):
                held.child.exception()
        asked = False
        while True:
            try:
                child = await self._start(lock, what)
                self._held[lock] = _Held(what, child, replaces, workflow.random_seed())
            except WorkflowAlreadyStartedError:
                holder = await self._holder(lock, replaces=replaces, again=asked)
                asked = True
                if holder.id:
                    return _taken(what, holder)
            else:
                return None

    async def renew(self) -> Ending | None:
        """Take again what somebody ended by hand, or a Reset of the run; a change is made under every lock taken for it."""
        for lock, held in [*self._held.items()]:
            if ending := await self.hold(lock, held.what, replaces=held.replaces):
                return ending
        return None

    def knows_state(self, state: str, directory: str) -> None:
        """Note which state of Terraform's the run works on."""
        if state:
            self._state = (terraform_lock_id(state), f"the Terraform state of {directory}")

    async def hold_state(self) -> Ending | None:
        """Take the lock of Terraform's state, if it is known yet."""
        return await self.hold(*self._state) if self._state else None

    async def release_state(self) -> None:
        """Give back the lock of Terraform's state."""
        if self._state:
            await self.release(self._state[0])

    async def release(self, lock: str) -> None:
        """Give a lock back, before the run ends."""
        held = self._held.pop(lock, None)
        if held is None or held.child.done():
            return
        with suppress(FailureError):  # it was ended by hand meanwhile
            await held.child.signal("release")
            await asyncio.shield(held.child)

    async def _start(self, lock: str, what: str) -> workflow.ChildWorkflowHandle[Any, Any]:
        report = self._record.report
        return await workflow.start_child_workflow(
            "Lock",
            LockRequest(
                what=what,
                environment=report.environment,
                service=report.service,
                requested_by=report.requested_by,
            ),
            id=lock,
            static_summary=f"Lock of {what}",
            task_timeout=TASK_TIMEOUT,
            parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
        )

    async def _holder(self, lock: str, *, replaces: bool, again: bool) -> Holder:
        """Ask who holds it, and have room made where that was asked for."""
        question = LockQuestion(lock=lock, run_id=workflow.info().run_id)
        holder: Holder = await self._step(
            "Look who holds the lock", LockActivities.find_holder, question, READ
        )
        if not holder.id or not self._replace or again:
            return holder
        report = self._record.report
        reason = f"replaced: {report.reason or 'no reason given'}"[:2000] if replaces else ""
        order = question.model_copy(update={"by": report.requested_by, "reason": reason})
        try:
            made: Holder = await self._step("Make room", LockActivities.make_room, order, ROOM)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.info("no room was made: %s", error)
            return holder
        return made


def _taken(what: str, holder: Holder) -> Ending:
    at = answered_at(holder.id)
    fix = (
        "start with --replace, which ends it"
        if holder.alone
        else f"see it with `runbook show {at}`, stop it with `runbook abort {at} --reason WHY`, or start with --replace"
    )
    return refused("policy", f"{what} is {holder.summary}", fix)
