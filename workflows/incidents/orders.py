"""What people order of an incident; what is about the procedure under way is passed on to it."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import workflow

from runbook_model.errors import Rejected
from runbook_model.incident.account import Account, Acknowledgement, Closed
from runbook_model.incident.messages import CLOSE, Closing
from runbook_model.messages import Abort, Answer, Approval, Instruction, Note
from workflows.page.inbox import Inbox, reading
from workflows.page.orders import Orders
from workflows.page.signing import Signing

NO_ALERT = 99
"""How severe an incident is in which nothing fires."""


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
        had_it, rank = self._account.acknowledged, self._account.rank
        self._account.acknowledged = Acknowledgement(
            by=hold.by, at=workflow.now(), rank=NO_ALERT if rank is None else rank
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
