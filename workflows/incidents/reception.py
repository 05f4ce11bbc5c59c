"""What every incident takes from alerts, procedures and people, and shows them; orders about its procedure are passed on to it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from temporalio import workflow

from runbook_model.bounds import REPORT_BYTES, within
from runbook_model.errors import Rejected
from runbook_model.incident import messages
from runbook_model.incident.account import Account, Acknowledgement, Closed
from runbook_model.incident.messages import CLOSE, AlertBatch, Closing, ProcedureProgress
from runbook_model.messages import Abort, Answer, Approval, Instruction, Note
from runbook_model.names import ids
from runbook_model.reports import Report
from workflows.decisions.scaling import capacity_left
from workflows.incidents.publishing import take_and_count
from workflows.incidents.remediating import Remediating
from workflows.incidents.report import IncidentReport, report
from workflows.page.deciding.handlers import TakesOrders, takes_signal, takes_update
from workflows.page.deciding.inbox import Inbox, reading
from workflows.page.deciding.orders import Orders
from workflows.page.deciding.signing import Signing


class IncidentOrders(Orders):
    """What people ordered of an incident."""

    PAUSED = "paused: nothing is started automatically"

    def __init__(self, inbox: Inbox, account: Account, pass_on: Callable[[str, object], None]) -> None:
        super().__init__(inbox, account, pass_on)
        self._account = account
        self.signing = Signing(goes_on_as_new=True)
        inbox.on(CLOSE, reading(Closing), self.close, judge=self.judge_close, verify=self.verify_close)

    def approve(self, approval: Approval) -> Answer:
        """Pass a person's answer on to the procedure that waits for one."""
        self._pass_on("approve", approval)
        return Answer(detail=f"passed on to {self._under_way}")

    def stop(self, order: Abort) -> Answer:
        """Start nothing more automatically, and pass the order on to the procedure under way."""
        self._account.stopped_by = order.by
        self.decided("abort", order.by, order.reason)
        self._pass_on("abort", order)
        stops = "nothing more is started automatically"
        return Answer(detail=f"passed on to {self._under_way}; {stops}" if self._under_way else stops)

    def acknowledge(self, hold: Instruction) -> Answer:
        """Note that a person has it: nobody else is called."""
        had_it = self._account.acknowledged
        self._account.acknowledged = Acknowledgement(
            by=hold.by, at=workflow.now(), rank=self._account.rank_now
        )
        self.decided("acknowledge", hold.by, hold.reason or "")
        before = f" (after {had_it.by})" if had_it and had_it.by != hold.by else ""
        return Answer(detail=f"acknowledged by {hold.by}{before}: nobody else is called")

    def note(self, note: Note) -> Answer:
        """Keep what a person knows."""
        for about, text in note.said.items():
            if about == "observation":
                self._account.observe(text)
            else:
                setattr(self._account, about, text)
        return super().note(note)

    def close(self, closing: Closing) -> Answer:
        """Take a person's word that it is over."""
        if self._account.closed:
            return Answer(detail=f"already closed by {self._account.closed.by}", already=True)
        self._account.closed = Closed(by=closing.by, root_cause=closing.root_cause, at=workflow.now())
        self._account.root_cause = closing.root_cause
        self._account.closings += 1
        self.decided("close", closing.by, closing.root_cause)
        if names := ", ".join(dict.fromkeys(alert.name for alert in self._account.alerts.firing)):
            again = "silence it in Alertmanager, or its next notification opens a new incident"
            return Answer(detail=f"closed while {names} still fires: {again}")
        return Answer(detail="closed")

    def judge_approval(self, approval: Approval) -> Approval:
        """Return the approval if a procedure may be waiting for it."""
        if self._under_way is None:
            raise Rejected("no procedure is under way: nothing waits for an approval")
        return approval

    @property
    def place(self) -> tuple[str, str]:
        """Environment and service of the incident."""
        return self._account.environment, self._account.service

    async def verify_resume(self, hold: Instruction) -> Instruction:
        """Return the order to continue, once its signature is verified where it needs one."""
        self._look_up_policy()
        return await super().verify_resume(hold)

    async def verify_close(self, closing: Closing) -> Closing:
        """Return the word that it is over, once its signature is verified where it needs one."""
        self._look_up_policy()
        environment, service = self.place
        await self.signing.of_order(
            "close",
            closing,
            {"root_cause": closing.root_cause},
            environment=environment,
            service=service,
            sequence=self._account.closings,
        )
        return closing

    def judge_close(self, closing: Closing) -> Closing:
        """Return the word that it is over unless a procedure is under way."""
        if running := self._account.under_way:
            short = f"{self._account.environment}/{self._account.service}"
            why = f"{running.procedure} is still under way"
            raise Rejected(why, fix=f"wait for it, or `runbook abort {short}` first")
        return closing

    def decided(self, kind: str, by: str, detail: str) -> None:
        """Write down what a person decided."""
        self._account.decided(kind, by, workflow.now(), detail)

    def _look_up_policy(self) -> None:
        policy = self._account.policy
        self.signing.asked_for = policy.signed if policy and not policy.unreadable else None

    @property
    def _under_way(self) -> str | None:
        """Id of the procedure under way."""
        return self._account.under_way.id if self._account.under_way else None


BATCH_BYTES = 512 * 1024
"""The most that one signal with alerts may hold: twice what the receiver sends in one."""


class Reception(TakesOrders):
    """Whatever reaches an incident goes through here; its handlers only pass on."""

    account: Account
    stirred: bool
    """Whether something came that may change what is done next."""
    _inbox: Inbox

    def open_inbox(self, remediating: Remediating) -> None:
        """Say what is done with each message."""
        endless = (messages.PROCEDURE_PROGRESS, messages.PROCEDURE_ENDED, messages.ALERTS)
        self._inbox = Inbox(self.account, self._stir, endless)
        IncidentOrders(self._inbox, self.account, remediating.pass_on)
        # However large: that a procedure has ended must not be lost, and what is kept of it is bounded.
        progress = reading(ProcedureProgress, largest=sys.maxsize)
        self._inbox.on(messages.PROCEDURE_PROGRESS, progress, remediating.on_progress)
        self._inbox.on(messages.PROCEDURE_ENDED, progress, partial(self._take_end, remediating))
        batch = reading(AlertBatch, largest=BATCH_BYTES)
        self._inbox.on(messages.ALERTS, batch, self._take_batch, quiet=True)

    @property
    def inbox(self) -> Inbox:
        """What judges and takes each message."""
        return self._inbox

    take_alerts = takes_signal(messages.ALERTS, "Alerts of this target: an AlertBatch")
    take_procedure = takes_signal(messages.PROCEDURE_PROGRESS, "Sent by the procedure under way")
    take_end_of_procedure = takes_signal(messages.PROCEDURE_ENDED, "Sent by a procedure at its end")
    close_by_signal = takes_signal(messages.CLOSE, "It is over: {by, root_cause}")
    close = takes_update(messages.CLOSE, "As the signal close, with an answer")

    @workflow.query(
        description="The incident as it is now: alerts, procedures, what people know, who acknowledged it"
    )
    def status(self) -> IncidentReport:
        """Report the current state."""
        return within(report(self.account, workflow.now()), REPORT_BYTES)

    def _take_end(self, remediating: Remediating, text: ProcedureProgress) -> None:
        """Learn that a procedure ended, or what became of the temporary capacity that one left."""
        if text.id == ids.hold_id(self.account.environment, self.account.service):
            self._note_hold(text.report)
        else:
            remediating.on_end(text)

    def _note_hold(self, report: Report) -> None:
        """Note what a hold came to; people put right what it could not."""
        said = f"temporary capacity: {report.summary}"
        self.account.observe(said)
        self.account.decided("hold", "the runbook", workflow.now(), said)
        if task := capacity_left(report):
            self.account.leave(task)

    def _take_batch(self, batch: AlertBatch) -> None:
        if take_and_count(self.account, batch.alerts, batch.received):
            self.stirred = True
        if self.account.policy and not self.account.policy.unreadable:
            self.account.alerts.place(self.account.policy.matrix)

    def _stir(self) -> None:
        self.stirred = True
