"""What people order of a procedure's run: also what only a procedure knows, as gates, changes to undo, and children; and the run of a child."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporalio import workflow

from runbook_model.errors import Rejected
from runbook_model.messages import Abort, Answer, Approval, Instruction, ProcedureRequest
from runbook_model.names.procedures import workflow_type
from runbook_model.reports import Report
from workflows.page.deciding.child_relay import ChildRelay, procedure_above
from workflows.page.deciding.gate import Answers, Gate
from workflows.page.deciding.inbox import Inbox, reading
from workflows.page.deciding.orders import Orders
from workflows.page.deciding.signing import verify_answer
from workflows.page.options import TASK_TIMEOUT
from workflows.page.telling.record import Record


class ProcedureOrders(Orders):
    """What people ordered of a procedure, and the gate that is open."""

    PAUSED = "paused: no new step starts; a wait that is under way continues"

    def __init__(self, inbox: Inbox, record: Record, child_relay: ChildRelay) -> None:
        super().__init__(inbox, record, child_relay.pass_on)
        self._record = record
        self._child_relay = child_relay
        self.answers = Answers()
        self.gate: Gate | None = None
        self.last_gate: str = "nothing waits for an approval"
        self.abort: Abort | None = None
        self.undoing = False
        """Whether an abort is undoing what was changed: then a second one stops the undo."""
        self.undo_stop: Abort | None = None
        """The order that stopped it: what is there is kept."""
        self.closed = False
        self.undo_lands_on_bad: Callable[[], str | None] = lambda: None
        """Says which bad release an undo would bring back, if any."""
        inbox.on("parent_paused", reading(Instruction), self.pause, judge=self.judge_hold)
        inbox.on(
            "parent_resumed",
            reading(Instruction),
            self.resume,
            judge=self.judge_hold,
            verify=self.verify_parents_resume,
        )

    def approve(self, approval: Approval) -> Answer:
        """Count a person's approval at the open gate."""
        self.answers.remember(approval)
        if self.gate is None:
            self._pass_on("approve", approval)
            return Answer(detail=f"passed on to {self._child_relay.child_id}")
        detail = self.gate.count(approval)
        self.decided("approve", approval.by, " ".join(filter(None, (detail, approval.comment))))
        self._record.checkpoint(self.gate.view)
        return Answer(detail=detail)

    def stop(self, order: Abort) -> Answer:
        """Take the order to stop safely."""
        if self.abort is not None:
            return self._stop_undo(order, self.abort)
        self.abort = order
        self.decided("abort", order.by, order.reason)
        stays = "; what was changed stays" if order.keep and self.signing.asked_for else ""
        return Answer(detail=f"stopping safely{stays}")

    def _stop_undo(self, order: Abort, first: Abort) -> Answer:
        """Take a second abort: unless it asks for the undo, it stops the one under way, here or in the child."""
        undoing = self.undoing or self._child_relay.child_id is not None
        stops = order.keep or (order.keep is None and undoing)
        if not stops or first.keep or self.undo_stop:
            return Answer(detail=f"already stopping, as {first.by} ordered", already=True)
        self.undo_stop = order
        self.decided("abort", order.by, order.reason)
        self._pass_on("abort", order.model_copy(update={"keep": True, "from_parent": True}))
        return Answer(detail="stopping safely: nothing more is undone, what is there is kept")

    def acknowledge(self, hold: Instruction) -> Answer:
        """Note that a person has it."""
        self.decided("acknowledge", hold.by, hold.reason or "")
        return Answer(detail=f"acknowledged by {hold.by}")

    def judge_approval(self, approval: Approval) -> Approval:
        """Return the approval if the open gate, here or in the child, may count it."""
        self._refuse_if_over()
        if self.gate is None and self._child_relay.child_id is None:
            raise Rejected(f"{self.last_gate}: this approval is not used")
        if self.gate and (why := self.gate.refuses(approval)):
            raise why
        return approval

    def knows(self, approval: Approval) -> bool:
        """Whether the same answer was recorded before: at the open gate, or at one that has closed."""
        if self.gate and self.gate.has(approval):
            return True
        # A child judges by itself.
        return not self._child_relay.child_id and self.answers.has(approval)

    def judge_abort(self, order: Abort) -> Abort:
        """Return the order as it is taken: an undo onto a bad release has to be confirmed."""
        self._refuse_if_over()
        bad = self.undo_lands_on_bad()
        if order.keep is not False or not bad or order.confirmed or self.abort is not None:
            return order
        if order.from_parent:
            why = f"kept: {bad} is marked bad, and nobody confirmed that it shall come back"
            return order.model_copy(update={"keep": True, "reason": f"{order.reason}; {why}"})
        why = f"undoing would bring back {bad}, which is marked bad"
        raise Rejected(why, fix="confirm with --yes, or use --keep")

    @property
    def place(self) -> tuple[str, str]:
        """Environment and service of the run."""
        return self._record.report.environment, self._record.report.service

    async def verify_approval(self, approval: Approval) -> Approval:
        """Return the approval with the key that signed it, once that is verified; a child judges by itself."""
        gate = self.gate
        if gate is None:
            return approval
        signed_by = await verify_answer(approval, gate.view, *self.place)
        if self.gate is not gate:
            raise Rejected("the question changed while the signature was verified", fix="look at it again")
        return approval.model_copy(update={"key": signed_by.key}) if signed_by else approval

    async def verify_abort(self, order: Abort) -> Abort:
        """Return the order: to undo, it is signed where decisions are; unsigned it stops at once, and keeps what was changed."""
        if order.keep:
            return order
        environment, service = self.place
        try:
            signed_by = await self.signing.of_order(
                "end-hold" if self._record.report.procedure == "hold" else "undo",
                order,
                {"reason": order.reason, "confirmed": order.confirmed},
                environment=environment,
                service=service,
                run=_parent() if order.from_parent else None,
            )
        except Rejected:
            if order.statement is not None:
                raise
            return order.model_copy(update={"keep": True})
        return order.model_copy(update={"keep": False}) if signed_by else order

    async def verify_parents_resume(self, hold: Instruction) -> Instruction:
        """Return the order that the procedure above passed on, once its signature is verified where it needs one."""
        environment, service = self.place
        order = {"reason": hold.reason}
        await self.signing.of_order(
            "resume", hold, order, environment=environment, service=service, run=_parent()
        )
        return hold

    def judge_hold(self, hold: Instruction) -> Instruction:
        """Return the pause, resume or acknowledgement unless the run is over."""
        self._refuse_if_over()
        return hold

    def decided(self, kind: str, by: str, detail: str) -> None:
        """Write down what a person decided."""
        self._record.decided(kind, by, detail)

    def _refuse_if_over(self) -> None:
        if self.closed:
            raise Rejected("the run is over")


def _parent() -> tuple[str, str] | None:
    above = procedure_above()
    return (above.workflow_id, above.run_id) if above else None


async def run_child(
    words: str,
    procedure: str,
    request: ProcedureRequest,
    record: Record,
    relay: ChildRelay,
    orders: ProcedureOrders,
) -> Report:
    """Start another procedure and wait for its report; an abort is passed on to it, and waited for too."""
    place = record.begin_step(words)
    child = await workflow.start_child_workflow(
        workflow_type(procedure),
        request,
        id=f"{workflow.info().workflow_id}/{procedure}",
        result_type=Report,
        static_summary=words,
        task_timeout=TASK_TIMEOUT,
        # A parent that is terminated must not leave a remediation running next to the next one.
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
    )
    relay.adopt(child)
    if orders.paused_by:  # before it was known to have started
        relay.pass_on("parent_paused", Instruction(by=orders.paused_by))
    try:
        report: Report = await asyncio.shield(child)
    except asyncio.CancelledError:
        if orders.abort:
            await child.signal("abort", orders.abort.model_copy(update={"from_parent": True}))
        aborted = await child
        record.adopt(aborted)
        record.end_step(place, "cancelled", aborted.summary)
        raise
    finally:
        relay.adopt(None)
    record.adopt(report)
    record.end_step(place, "done", f"{report.outcome}: {report.summary}")
    return report
