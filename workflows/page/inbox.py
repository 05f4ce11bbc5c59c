"""What people send to a run: approve, abort, pause, resume, acknowledge, note.

Each message has one judge, whether it came as an update, whose sender gets the answer, or as a signal, whose sender does
not: what a signal brings in vain is kept in ``rejected``. No payload can stop the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from activities.runtime.converter import Unreadable
from runbook_model.reports import Abort, Answer, Approval, Hold, Message, Note
from workflows.page.gate import Answers

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflows.page.child_relay import ChildRelay
    from workflows.page.gate import Gate
    from workflows.page.record import Record

M = TypeVar("M", bound=Message)


class Refused(Exception):  # noqa: N818 - not an error of the run: a message that cannot be used
    """Why a message cannot be used; ``kind`` tells bad input from a rule that forbids it."""

    def __init__(self, why: str, kind: str = "Rejected") -> None:
        self.kind = kind
        super().__init__(why)


class Inbox:
    """Judges messages and keeps what they ordered."""

    def __init__(self, record: Record, child_relay: ChildRelay) -> None:
        self._record = record
        self._child_relay = child_relay
        self._seen: set[str] = set()
        self.answers = Answers()
        self.gate: Gate | None = None
        self.last_gate: str = "nothing waits for an approval"
        self.abort: Abort | None = None
        self.undoing = False
        """Whether an abort is undoing what was changed: then a second one stops the undo."""
        self.undo_stop: Abort | None = None
        """The order that stopped it: what is there is kept."""
        self.paused_by: str | None = None
        self.closed = False
        self.undo_lands_on_bad: Callable[[], str | None] = lambda: None
        """Says which bad release an undo would bring back, if any."""

    def approve(self, received: object) -> Answer:
        """Count a person's approval at the open gate."""
        approval = self._judge_approval(received)
        if self._is_known(approval):
            return Answer(detail="already recorded", already=True)
        self._remember(approval.decision_id)
        self.answers.remember(approval)
        if self.gate is None:
            self._child_relay.pass_on("approve", approval)
            return Answer(detail=f"passed on to {self._child_relay.child_id}")
        detail = self.gate.count(approval)
        self._record.decided("approve", approval.by, " ".join(filter(None, (detail, approval.comment))))
        self._record.checkpoint(self.gate.view)
        return Answer(detail=detail)

    def stop(self, received: object) -> Answer:
        """Take the order to stop safely."""
        order = self._judge_abort(received)
        if self.abort is None and self._is_repeat(order.decision_id):
            return Answer(detail="already recorded", already=True)
        if self.abort is not None:
            return self._stop_undo(order, self.abort)
        self._remember(order.decision_id)
        self.abort = order
        self._record.decided("abort", order.by, order.reason)
        return Answer(detail="stopping safely")

    def _stop_undo(self, order: Abort, first: Abort) -> Answer:
        """Take a second abort: unless it asks for the undo, it stops the one under way, here or in the child."""
        undoing = self.undoing or self._child_relay.child_id is not None
        stops = order.keep or (order.keep is None and undoing)
        if not stops or first.keep or self.undo_stop or self._is_repeat(order.decision_id):
            return Answer(detail=f"already stopping, as {first.by} ordered", already=True)
        self._remember(order.decision_id)
        self.undo_stop = order
        self._record.decided("abort", order.by, order.reason)
        self._child_relay.pass_on("abort", order.model_copy(update={"keep": True, "from_parent": True}))
        return Answer(detail="stopping safely: nothing more is undone, what is there is kept")

    def pause(self, received: object) -> Answer:
        """Hold before the next step."""
        hold = self._judge_hold(received)
        if self._is_repeat(hold.decision_id):
            return Answer(detail="already recorded", already=True)
        self._remember(hold.decision_id)
        if self.paused_by:
            return Answer(detail=f"already paused by {self.paused_by}", already=True)
        self.paused_by = hold.by
        self._child_relay.pass_on("parent_paused", hold)
        self._record.decided("pause", hold.by, hold.reason or "")
        return Answer(detail="paused: no new step starts; a wait that is under way goes on")

    def resume(self, received: object) -> Answer:
        """Go on."""
        hold = self._judge_hold(received)
        if self._is_repeat(hold.decision_id):
            return Answer(detail="already recorded", already=True)
        self._remember(hold.decision_id)
        if self.paused_by is None:
            return Answer(detail="not paused", already=True)
        self.paused_by = None
        self._child_relay.pass_on("parent_resumed", hold)
        self._record.decided("resume", hold.by, hold.reason or "")
        return Answer(detail="going on")

    def acknowledge(self, received: object) -> Answer:
        """Note that a person has it."""
        hold = self._judge_hold(received)
        self._record.decided("acknowledge", hold.by, hold.reason or "")
        return Answer(detail=f"acknowledged by {hold.by}")

    def note(self, received: object) -> Answer:
        """Keep what a person knows."""
        note = self._judge_note(received)
        told = note.model_dump(exclude={"by"}, exclude_none=True)
        self._record.decided("note", note.by, "; ".join(f"{key}: {value}" for key, value in told.items()))
        return Answer(detail="noted")

    def from_signal(self, name: str, take: Callable[[object], Answer], received: object) -> None:
        """Take what a signal brought, or keep it among the rejected."""
        try:
            take(received)
        except Refused as refusal:
            self._record.reject(name, str(refusal), received)

    def from_update(self, take: Callable[[object], Answer], received: object) -> Answer:
        """Take what an update brought; its validator let it in, but the last word is said here.

        Raises:
            ApplicationError: as ``check`` does.
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
            "decide": self._judge_approval,
            "abort_run": self._judge_abort,
            "note": self._judge_note,
        }
        try:
            judges.get(name, self._judge_hold)(received)
        except Refused as refusal:
            raise ApplicationError(str(refusal), type=refusal.kind, non_retryable=True) from None

    def _judge_approval(self, received: object) -> Approval:
        approval = parse(Approval, received)
        if self._is_known(approval):
            return approval
        self._refuse_if_over()
        if self.gate is None and self._child_relay.child_id:
            return approval
        if self.gate is None:
            raise Refused(f"{self.last_gate}: this approval is not used")
        if why := self.gate.refuses(approval):
            raise Refused(why)
        return approval

    def _is_known(self, approval: Approval) -> bool:
        """Whether it was recorded before: as the same message, at the open gate, or at one that has closed."""
        if self._is_repeat(approval.decision_id) or (self.gate and self.gate.has(approval)):
            return True
        # A child judges by itself; and what names no plan may as well be meant for the gate that is open.
        if self._child_relay.child_id or (self.gate and approval.plan_hash is None):
            return False
        return self.answers.has(approval)

    def _judge_abort(self, received: object) -> Abort:
        order = parse(Abort, received)
        if self._is_repeat(order.decision_id):
            return order
        self._refuse_if_over()
        bad = self.undo_lands_on_bad()
        unconfirmed = order.keep is False and bad and not order.confirmed and self.abort is None
        if unconfirmed and order.from_parent:
            why = f"kept: {bad} is marked bad, and nobody confirmed that it shall come back"
            return order.model_copy(update={"keep": True, "reason": f"{order.reason}; {why}"})
        if unconfirmed:
            raise Refused(
                f"undoing would bring back {bad}, which is marked bad: confirm with --yes, or use --keep"
            )
        return order

    def _judge_hold(self, received: object) -> Hold:
        hold = parse(Hold, received)
        if not self._is_repeat(hold.decision_id):
            self._refuse_if_over()
        return hold

    def _judge_note(self, received: object) -> Note:
        note = parse(Note, received)
        if not note.model_dump(exclude={"by"}, exclude_none=True):
            raise Refused(
                "the note says nothing: give impact, root_cause, eta or observation", "InvalidMessage"
            )
        return note

    def _refuse_if_over(self) -> None:
        if self.closed:
            raise Refused("the run is over")

    def _is_repeat(self, decision_id: str | None) -> bool:
        return decision_id is not None and decision_id in self._seen

    def _remember(self, decision_id: str | None) -> None:
        if decision_id is not None:
            self._seen.add(decision_id)


def parse(model: type[M], received: object) -> M:
    """Read a payload as a message.

    Raises:
        Refused: it is not one; the reason names the field.
    """
    wanted = ", ".join(name for name, field in model.model_fields.items() if field.is_required())
    if received is None:
        raise Refused(f"came without a payload: give {wanted}", "InvalidMessage")
    if isinstance(received, Unreadable):
        raise Refused("the payload cannot be decoded: send JSON", "InvalidMessage")
    try:
        return model.model_validate(received)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(": ".join(filter(None, (where, first["msg"]))), "InvalidMessage") from None
