"""What people send to an incident: approve, abort, pause, resume, acknowledge, note, close.

As with procedures each message has one judge, whether it came as an update or as a signal, and no payload can stop the
run. What is about the procedure under way is passed on to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from runbook_model.incident.account import Acknowledgement, Closed
from runbook_model.incident.messages import Closing, IncidentNote
from runbook_model.reports import Abort, Answer, Approval, Hold
from workflows.page.inbox import Refused, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbook_model.incident.account import Account
    from runbook_model.reports import Message

    PassOn = Callable[[str, object], None]

NO_ALERT = 99
"""How severe an incident is in which nothing fires."""


class IncidentInbox:
    """Judges messages and keeps what they say."""

    def __init__(self, account: Account, pass_on: PassOn) -> None:
        self._account = account
        self._pass_on = pass_on

    def approve(self, received: object) -> Answer:
        """Pass a person's answer on to the procedure that waits for one."""
        approval = parse(Approval, received)
        running = self._account.under_way
        if running is None:
            raise Refused("no procedure is under way: nothing waits for an approval")
        self._pass_on("approve", approval)
        return Answer(detail=f"passed on to {running.id}")

    def stop(self, received: object) -> Answer:
        """Begin nothing more by itself, and pass the order on to the procedure under way."""
        order = parse(Abort, received)
        if self._is_repeat(order.decision_id):
            return Answer(detail="already recorded", already=True)
        self._account.stopped_by = order.by
        self._take("abort", order.by, order.reason, order.decision_id)
        self._pass_on("abort", order)
        if self._account.under_way:
            return Answer(
                detail=f"passed on to {self._account.under_way.id}; nothing more is begun by itself"
            )
        return Answer(detail="nothing more is begun by itself")

    def pause(self, received: object) -> Answer:
        """Begin nothing, and hold the procedure under way."""
        hold = parse(Hold, received)
        if self._is_repeat(hold.decision_id):
            return Answer(detail="already recorded", already=True)
        if self._account.paused_by:
            return Answer(detail=f"already paused by {self._account.paused_by}", already=True)
        self._account.paused_by = hold.by
        self._pass_on("parent_paused", hold)
        self._take("pause", hold.by, hold.reason or "", hold.decision_id)
        return Answer(detail="paused: nothing is begun by itself")

    def resume(self, received: object) -> Answer:
        """Go on."""
        hold = parse(Hold, received)
        if self._is_repeat(hold.decision_id):
            return Answer(detail="already recorded", already=True)
        if self._account.paused_by is None:
            return Answer(detail="not paused", already=True)
        self._account.paused_by = None
        self._pass_on("parent_resumed", hold)
        self._take("resume", hold.by, hold.reason or "", hold.decision_id)
        return Answer(detail="going on")

    def acknowledge(self, received: object) -> Answer:
        """Note that a person has it: nobody else is called."""
        taken = parse(Hold, received)
        has_it = self._account.acknowledged
        if self._is_repeat(taken.decision_id):
            return Answer(detail="already recorded", already=True)
        rank = self._account.rank
        self._account.acknowledged = Acknowledgement(
            by=taken.by, at=workflow.now(), rank=NO_ALERT if rank is None else rank
        )
        self._take("acknowledge", taken.by, taken.reason or "", taken.decision_id)
        before = f" (after {has_it.by})" if has_it and has_it.by != taken.by else ""
        return Answer(detail=f"acknowledged by {taken.by}{before}: nobody else is called")

    def note(self, received: object) -> Answer:
        """Keep what a person knows."""
        note = self._judge_note(received)
        if self._is_repeat(note.decision_id):
            return Answer(detail="already recorded", already=True)
        for field in ("impact", "root_cause", "eta"):
            if said := getattr(note, field):
                setattr(self._account, field, said)
        if note.observation:
            self._account.observe(note.observation)
        told = note.model_dump(exclude={"by", "decision_id"}, exclude_none=True)
        words = "; ".join(f"{key}: {value}" for key, value in told.items())
        self._take("note", note.by, words, note.decision_id)
        return Answer(detail="noted")

    def close(self, received: object) -> Answer:
        """Take a person's word that it is over."""
        closing = self._judge_close(received)
        if self._is_repeat(closing.decision_id):
            return Answer(detail="already recorded", already=True)
        if self._account.closed:
            return Answer(detail=f"already closed by {self._account.closed.by}", already=True)
        self._account.closed = Closed(by=closing.by, root_cause=closing.root_cause, at=workflow.now())
        self._account.root_cause = closing.root_cause
        self._take("close", closing.by, closing.root_cause, closing.decision_id)
        if names := ", ".join(dict.fromkeys(one.name for one in self._account.alerts.firing)):
            again = "silence it in Alertmanager, or its next notification opens a new incident"
            return Answer(detail=f"closed while {names} still fires: {again}")
        return Answer(detail="closed")

    def from_signal(self, name: str, take: Callable[[object], Answer], received: object) -> None:
        """Take what a signal brought, or keep it among the rejected."""
        try:
            take(received)
        except Refused as refusal:
            self._account.reject(name, str(refusal), received, workflow.now())

    def from_update(self, take: Callable[[object], Answer], received: object) -> Answer:
        """Take what an update brought.

        Raises:
            ApplicationError: it cannot be used; its sender gets the reason.
        """
        try:
            return take(received)
        except Refused as refusal:
            raise ApplicationError(str(refusal), type=refusal.kind, non_retryable=True) from None

    def check(self, name: str, received: object) -> None:
        """Judge an update before it is accepted; its sender gets the reason.

        Raises:
            ApplicationError: of type ``Rejected``, or ``InvalidMessage`` for a payload that does not fit.
        """
        judges: dict[str, Callable[[object], Message]] = {
            "decide": lambda given: parse(Approval, given),
            "abort_run": lambda given: parse(Abort, given),
            "note": self._judge_note,
            "close": self._judge_close,
        }
        try:
            if name in judges:
                judges[name](received)
            else:
                parse(Hold, received)
        except Refused as refusal:
            raise ApplicationError(str(refusal), type=refusal.kind, non_retryable=True) from None

    def _judge_note(self, received: object) -> IncidentNote:
        note = parse(IncidentNote, received)
        if not note.model_dump(exclude={"by", "decision_id"}, exclude_none=True):
            raise Refused(
                "the note says nothing: give impact, root_cause, eta or observation", "InvalidMessage"
            )
        return note

    def _judge_close(self, received: object) -> Closing:
        closing = parse(Closing, received)
        if running := self._account.under_way:
            short = f"{self._account.environment}/{self._account.service}"
            raise Refused(
                f"{running.procedure} is still under way: wait for it, or `runbook abort {short}` first"
            )
        return closing

    def _is_repeat(self, decision_id: str | None) -> bool:
        return decision_id is not None and decision_id in self._account.seen

    def _take(self, kind: str, by: str, detail: str, decision_id: str | None = None) -> None:
        self._account.remember(decision_id)
        self._account.decided(kind, by, workflow.now(), detail)
