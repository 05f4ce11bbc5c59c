"""The brake of an environment: what may be started automatically, how often, how much at once, and who holds it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import Field
from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError

from activities.chat.activities import ChatActivities
from runbook_model.brakes import BrakeAnswer, BrakeReport, BrakeRequest, Reservation, Switched
from runbook_model.errors import InvalidMessage, Rejected
from runbook_model.incident.announcements import Notice
from runbook_model.messages import Answer, Person, Said, Signable
from runbook_model.names import ids
from runbook_model.names.people import is_agent
from runbook_model.reports import Rejection, keep_rejection
from workflows.decisions.braking import finished, forget, not_started, reserve
from workflows.page.deciding.handlers import HasInbox, takes_signal, takes_update
from workflows.page.deciding.inbox import Inbox, reading
from workflows.page.deciding.signing import Signing, lapse_after
from workflows.page.options import BEST_EFFORT

LONG = 1000
"""Events; then it continues as a new run."""
LARGE = 8 * 1024 * 1024
"""Bytes of its history; likewise."""
IDLE = timedelta(hours=24)
MOST_SWITCHED = 200


class Switch(Signable):
    """A person puts the brake on, or lets it go."""

    by: Person
    on: bool
    service: str | None = Field(default=None, max_length=63)
    """None for the whole environment."""
    reason: Said = Field(min_length=1, max_length=2000)


@workflow.defn
class Brake(HasInbox):
    """Counts what is started automatically in an environment, and keeps people's word that nothing shall be."""

    @workflow.init
    def __init__(self, request: BrakeRequest) -> None:
        self._report = BrakeReport(environment=request.environment, book=request.book)
        self._inbox = Inbox(self, endless=("reserve", "finished", "not_started"))
        self._inbox.on("reserve", reading(Reservation), self._reserve)
        self._inbox.on("finished", _key, self._finished)
        self._inbox.on("not_started", _key, self._not_started)
        self._signing = Signing(goes_on_as_new=True)
        self._lapses_after: timedelta | None = None
        """How long an agent's brake holds; None where decisions are not signed."""
        self._to_announce: list[str] = []
        self._inbox.on("switch", reading(Switch), self._switch, judge=self._judge_switch, verify=self._verify)

    @workflow.run
    async def run(self, request: BrakeRequest) -> BrakeReport:
        """Keep the brake until nobody holds it and nothing is left to remember."""
        if not workflow.info().typed_search_attributes.get(ids.PROCEDURE):
            workflow.upsert_search_attributes(
                [ids.ENVIRONMENT.value_set(request.environment), ids.PROCEDURE.value_set("brake")]
            )
        while True:
            await self._announce()
            try:
                await workflow.wait_condition(
                    lambda: self._is_long() or bool(self._to_announce),
                    timeout=self._rest(),
                    timeout_summary="Until it is idle",
                )
            except TimeoutError:
                self._lapse()
                await self._announce()
                self._note(book=forget(self._report.book, workflow.now()))
                if not (self._report.book.on or self._report.book.starts):
                    return self._report
            if self._is_long():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(request.model_copy(update={"book": self._report.book}))

    reserve = takes_update(
        "reserve", "Asks whether this may start automatically; if yes, it is counted", returns=BrakeAnswer
    )
    finished = takes_signal("finished", "What was started automatically has ended: its key")
    not_started = takes_signal("not_started", "What was allowed did not start after all: its key")
    switch_by_signal = takes_signal("switch", "Switch it on or off: {by, on, service?, reason}")
    switch = takes_update("switch", "As the signal switch, with an answer")

    @workflow.query(description="Who switched it on, and what was started automatically lately")
    def status(self) -> BrakeReport:
        """Say how it stands."""
        return self._report

    @property
    def inbox(self) -> Inbox:
        """What judges and takes each message."""
        return self._inbox

    def keep_rejected(self, rejection: Rejection) -> None:
        """Keep what could not be used; the newest are kept."""
        self._note(rejected=keep_rejection(self._report.rejected, rejection))

    @property
    def seen(self) -> tuple[str, ...]:
        """Ids of the newest decisions that were taken."""
        return self._report.seen

    @seen.setter
    def seen(self, seen: tuple[str, ...]) -> None:
        self._note(seen=seen)

    def _reserve(self, wanted: Reservation) -> BrakeAnswer:
        answer, book = reserve(self._report.book, wanted, workflow.now())
        self._note(book=book)
        return answer

    def _finished(self, key: str) -> None:
        self._note(book=finished(self._report.book, key, workflow.now()))

    def _not_started(self, key: str) -> None:
        self._note(book=not_started(self._report.book, key))

    def _judge_switch(self, order: Switch) -> Switch:
        """Return the order unless so many services are held that the book would get too large."""
        if order.on and order.service and len(self._report.book.on) >= MOST_SWITCHED:
            raise Rejected(
                f"the brake is on for {MOST_SWITCHED} services", fix="switch it on for the whole environment"
            )
        return order

    async def _verify(self, order: Switch) -> Switch:
        """Return the order; one to switch off is signed where decisions are, and an agent's lapses there."""
        if order.on and is_agent(order.by):
            self._lapses_after = await lapse_after(self._report.environment)
        if not order.on:
            await self._signing.of_order(
                "brake-off",
                order,
                {"reason": order.reason},
                environment=self._report.environment,
                service=order.service,
                sequence=self._report.book.switched_off,
            )
        return order

    def _switch(self, order: Switch) -> Answer:
        book, where = self._report.book, self._where(order.service)
        rest = tuple(brake for brake in book.on if brake.service != order.service)
        if (rest != book.on) is order.on:
            state = "on" if order.on else "off"
            return Answer(detail=f"the brake of {where} is {state} already", already=True)
        put = Switched(
            service=order.service,
            by=order.by,
            reason=order.reason,
            at=workflow.now(),
            until=self._until(order),
        )
        on, off = ((*rest, put), 0) if order.on else (rest, 1)
        self._note(book=book.model_copy(update={"on": on, "switched_off": book.switched_off + off}))
        if order.on:
            said = f"the brake of {where} is on: nothing is started or changed automatically there"
            if put.until:
                said = f"{said} until {put.until:%H:%M} UTC, when an agent's brake lapses"
                self._to_announce.append(f"{said}; by {order.by}: {order.reason}")
            return Answer(detail=said)
        return Answer(detail=f"the brake of {where} is off")

    def _where(self, service: str | None) -> str:
        """Name the environment, or a target of it."""
        environment = self._report.environment
        return f"{environment}/{service}" if service else environment

    def _until(self, order: Switch) -> datetime | None:
        """Say when an order to switch it on lapses."""
        lapses = order.on and is_agent(order.by) and self._lapses_after is not None
        return workflow.now() + self._lapses_after if lapses and self._lapses_after else None

    def _rest(self) -> timedelta:
        """Say how long there is nothing to do."""
        lapse = self._report.book.next_lapse
        return min(IDLE, max(lapse - workflow.now(), timedelta(0))) if lapse else IDLE

    def _lapse(self) -> None:
        """Let lapse what an agent put on."""
        book, now = self._report.book, workflow.now()
        over = [item for item in book.on if item.until and item.until <= now]
        for item in over:
            where = self._where(item.service)
            self._to_announce.append(
                f"the brake of {where} by {item.by} has lapsed: one of an agent holds for a limited time"
            )
        if over:
            self._note(
                book=book.model_copy(update={"on": tuple(item for item in book.on if item not in over)})
            )

    async def _announce(self) -> None:
        """Notify people of what an agent's brake does."""
        while self._to_announce:
            text = self._to_announce.pop(0)
            notice = Notice(
                target=self._report.environment, text=text, run=workflow.info().workflow_id, urgent=True
            )
            with suppress(ActivityError):
                await workflow.execute_activity_method(
                    ChatActivities.notify, notice, summary="Notify people", **BEST_EFFORT
                )

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.get_current_history_length() > LONG or info.get_current_history_size() > LARGE

    def _note(self, **update: object) -> None:
        self._report = self._report.model_copy(update=update)


# Temporal refuses this behaviour from workers whose builds are not distinguished: they run the one above.
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


def _key(received: object) -> str:
    """Read the key of what was started.

    Raises:
        InvalidMessage: it is none.
    """
    if not isinstance(received, str):
        raise InvalidMessage("came without a key", fix="give the key that was reserved")
    return received
