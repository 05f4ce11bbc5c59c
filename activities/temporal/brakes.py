"""The brake of an environment: it is asked before anything is begun by itself, and again before each change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.catalog.policies import Brake
from runbook_model.durations import Duration
from runbook_model.errors import NotYetError
from runbook_model.release import Fact

if TYPE_CHECKING:
    from temporalio.client import Client, WorkflowHandle

PATIENCE = timedelta(seconds=5)
LOOK_EVERY = timedelta(seconds=10)


class Held(Fact):
    """Why nothing is begun by itself now."""

    kind: Literal["person", "rate", "storm", "cooling", "unreachable"]
    """``person``: until it is let go. ``rate`` and ``storm``: a person decides. ``cooling``: until a moment."""
    why: str
    until: datetime | None = None


class Switched(Fact):
    """A brake that a person put on."""

    service: str | None
    """None for the whole environment."""
    by: str
    reason: str
    at: datetime

    @property
    def told(self) -> str:
        """Who put it on, and why."""
        return f"{self.by} put the brake on at {self.at:%Y-%m-%d %H:%M} UTC: {self.reason}"


class Begun(Fact):
    """A procedure that was begun by itself."""

    key: str
    service: str
    procedure: str
    began: datetime
    ended: datetime | None = None


class BrakeBook(Fact):
    """What a brake knows: who holds it, and what was begun by itself lately."""

    on: tuple[Switched, ...] = ()
    begun: tuple[Begun, ...] = ()

    def holds(self, service: str) -> Held | None:
        """Say which person's brake holds a service's changes, if one does."""
        for one in self.on:
            if one.service in {None, service}:
                return Held(kind="person", why=one.told)
        return None


class BrakeRequest(Fact):
    """Keep the brake of an environment."""

    environment: str
    book: BrakeBook = BrakeBook()


class Reservation(Fact):
    """May this be begun by itself? If so, it counts from now on."""

    key: str
    """Names it: asked again, it is the same."""
    environment: str
    service: str
    procedure: str
    limits: Brake = Brake()
    cool_down: Duration = timedelta(minutes=10)
    cool_down_max: Duration = timedelta(hours=4)


class Question(Fact):
    """Asks whether a change may be made by itself."""

    environment: str
    service: str


class BrakeAnswer(Fact):
    """What the brake says."""

    held: Held | None = None

    @property
    def told(self) -> str:
        """What a person reads beside the step."""
        return f"held: {self.held.why}" if self.held else "the brake is off"


class BrakeReport(Fact):
    """A brake as it stands: the answer to ``status``."""

    environment: str
    book: BrakeBook = BrakeBook()
    rejected: tuple[str, ...] = ()
    seen: tuple[str, ...] = Field(default=())
    """Ids of the newest decisions that were taken."""


class BrakeActivities:
    """Asks brakes; where there is none, nothing holds."""

    def __init__(self, client: Client, look_every: timedelta = LOOK_EVERY) -> None:
        self._client = client
        self._look_every = look_every

    @activity.defn
    async def reserve(self, wanted: Reservation) -> BrakeAnswer:
        """Ask whether a procedure may be begun by itself, and have it counted."""
        answer = await self._reserve(wanted)
        if answer.held and answer.held.kind == "storm" and await self._forget_what_is_over(wanted):
            return await self._reserve(wanted)
        return answer

    @activity.defn
    async def ask_brake(self, question: Question) -> BrakeAnswer:
        """Ask whether a person's brake holds a change."""
        return BrakeAnswer(held=(await self.book(question.environment)).holds(question.service))

    @activity.defn
    async def await_brake(self, question: Question) -> BrakeAnswer:
        """Return once no person's brake holds a target; between two looks nothing is under way."""
        held = (await self.book(question.environment)).holds(question.service)
        if held:
            raise NotYetError(held.why, self._look_every)
        return BrakeAnswer()

    async def _reserve(self, wanted: Reservation) -> BrakeAnswer:
        try:
            return await self._ask(wanted)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        await self._client.start_workflow(
            "Brake",
            BrakeRequest(environment=wanted.environment),
            id=_id(wanted.environment),
            task_queue=activity.info().task_queue,
            static_summary=f"The brake of {wanted.environment}",
        )
        return await self._ask(wanted)

    async def _ask(self, wanted: Reservation) -> BrakeAnswer:
        answer: BrakeAnswer = await self._handle(wanted.environment).execute_update(
            "reserve", wanted, result_type=BrakeAnswer, rpc_timeout=PATIENCE
        )
        return answer

    async def _forget_what_is_over(self, wanted: Reservation) -> bool:
        """Tell the brake of procedures that ended without its knowing, as a killed one does."""
        under_way = [one for one in (await self.book(wanted.environment)).begun if one.ended is None]
        over = [one for one in under_way if not await self._runs(wanted.environment, one.service)]
        for one in over:
            await self._handle(wanted.environment).signal("finished", one.key)
        return bool(over)

    async def _runs(self, environment: str, service: str) -> bool:
        handle = self._client.get_workflow_handle(f"remediation/{environment}/{service}")
        try:
            found = await handle.describe(rpc_timeout=PATIENCE)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return found.status is WorkflowExecutionStatus.RUNNING

    async def book(self, environment: str) -> BrakeBook:
        """Read what a brake knows; where there is none, nothing."""
        try:
            report: BrakeReport = await self._handle(environment).query(
                "status", result_type=BrakeReport, rpc_timeout=PATIENCE
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return BrakeBook()
            raise
        return report.book

    def _handle(self, environment: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(_id(environment))


def _id(environment: str) -> str:
    return f"brake/{environment}"
