"""The brake of an environment: what may be begun by itself, how often, how much at once, and who holds it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field
from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ApplicationError

from runbook_model import ids
from runbook_model.brakes import BrakeAnswer, BrakeReport, BrakeRequest, Reservation, Switched
from runbook_model.reports import Answer, Message, Person
from workflows.decisions.braking import finished, forget, not_started, reserve
from workflows.page.inbox import Refused, parse

M = TypeVar("M", bound=BaseModel)

LONG = 1000
"""Events; then it goes on as a new run."""
IDLE = timedelta(hours=24)
KEPT = 50


class Switch(Message):
    """A person puts the brake on, or lets it go."""

    by: Person
    on: bool
    service: str | None = Field(default=None, max_length=63)
    """None for the whole environment."""
    reason: str = Field(min_length=1, max_length=2000)
    decision_id: str | None = Field(default=None, max_length=200)


@workflow.defn
class Brake:
    """Counts what is begun by itself in an environment, and keeps people's word that nothing shall be."""

    @workflow.init
    def __init__(self, request: BrakeRequest) -> None:
        self._report = BrakeReport(environment=request.environment, book=request.book)

    @workflow.run
    async def run(self, request: BrakeRequest) -> BrakeReport:
        """Keep the brake until nobody holds it and nothing is left to remember."""
        if not workflow.info().typed_search_attributes.get(ids.PROCEDURE):
            workflow.upsert_search_attributes(
                [ids.ENVIRONMENT.value_set(request.environment), ids.PROCEDURE.value_set("brake")]
            )
        while True:
            try:
                await workflow.wait_condition(self._is_long, timeout=IDLE, timeout_summary="Until it is idle")
            except TimeoutError:
                self._note(book=forget(self._report.book, workflow.now()))
                if not (self._report.book.on or self._report.book.starts):
                    return self._report
            if self._is_long():
                workflow.continue_as_new(request.model_copy(update={"book": self._report.book}))

    @workflow.update(description="May this be begun by itself? If so it counts")
    def reserve(self, request: object = None) -> BrakeAnswer:
        """Answer whether a procedure may be begun by itself, and count it."""
        wanted = _judged(Reservation, request)
        answer, book = reserve(self._report.book, wanted, workflow.now())
        self._note(book=book)
        return answer

    @workflow.signal(description="What was begun by itself has ended: its key")
    def finished(self, key: object = None) -> None:
        """Note that what was begun has ended."""
        if isinstance(key, str):
            self._note(book=finished(self._report.book, key, workflow.now()))
        else:
            self.reject("finished", "give its key", key)

    @workflow.signal(description="What was let through was not begun after all: its key")
    def not_started(self, key: object = None) -> None:
        """Forget what was let through in vain."""
        if isinstance(key, str):
            self._note(book=not_started(self._report.book, key))
        else:
            self.reject("not_started", "give its key", key)

    @workflow.signal(name="switch", description="Put it on or let it go: {by, on, service?, reason}")
    def switch_by_signal(self, request: object = None) -> None:
        """Put the brake on or let it go."""
        try:
            self._switch(parse(Switch, request))
        except Refused as refusal:
            self.reject("switch", str(refusal), request)

    @workflow.update(description="As the signal switch, with an answer")
    def switch(self, request: object = None) -> Answer:
        """Put the brake on or let it go, and answer."""
        return self._switch(_judged(Switch, request))

    @workflow.query(description="Who holds it, and what was begun by itself lately")
    def status(self) -> BrakeReport:
        """Tell how it stands."""
        return self._report

    @reserve.validator
    def _check_reserve(self, request: object = None) -> None:
        _judged(Reservation, request)

    @switch.validator
    def _check_switch(self, request: object = None) -> None:
        _judged(Switch, request)

    def _switch(self, order: Switch) -> Answer:
        book, where = self._report.book, order.service or self._report.environment
        was = next((one for one in book.on if one.service == order.service), None)
        if order.decision_id in self._report.seen or bool(was) is order.on:
            state = "on" if order.on else "off"
            return Answer(detail=f"the brake of {where} is {state} already", already=True)
        rest = tuple(one for one in book.on if one.service != order.service)
        put = Switched(service=order.service, by=order.by, reason=order.reason, at=workflow.now())
        seen = (*self._report.seen, order.decision_id)[-KEPT:] if order.decision_id else self._report.seen
        self._note(
            book=book.model_copy(update={"on": (*rest, put) if order.on else rest}),
            seen=seen,
        )
        if order.on:
            return Answer(detail=f"the brake of {where} is on: nothing is begun or changed by itself there")
        return Answer(detail=f"the brake of {where} is off")

    def _is_long(self) -> bool:
        return workflow.info().get_current_history_length() > LONG

    def reject(self, name: str, why: str, received: object) -> None:
        """Show what could not be used of a signal."""
        told = f"{workflow.now():%Y-%m-%d %H:%M:%S} {name}: {why} (got {received!r:.200})"
        self._note(rejected=(*self._report.rejected, told)[-KEPT:])

    def _note(self, **update: object) -> None:
        self._report = self._report.model_copy(update=update)


# Temporal refuses this behaviour from workers whose builds are not told apart: they run the one above.
@workflow.defn(name="Brake", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class BrakeOfEveryBuild(Brake):
    """The same for workers with a build id: it lives for months, and follows every build instead of holding one back."""

    @workflow.init
    def __init__(self, request: BrakeRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: BrakeRequest) -> BrakeReport:
        """Keep the brake until nobody holds it and nothing is left to remember."""
        return await super().run(request)


def _judged(model: type[M], received: object) -> M:
    """Read what an update brought.

    Raises:
        ApplicationError: it is not that; its sender gets the reason.
    """
    try:
        read: M = parse(cast(Any, model), received)
    except Refused as refusal:
        raise ApplicationError(str(refusal), type=refusal.kind, non_retryable=True) from None
    return read
