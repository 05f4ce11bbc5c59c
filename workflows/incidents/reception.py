"""What every incident takes from alerts, procedures and people, and shows them: signals, updates and a query."""

from __future__ import annotations

import sys
from functools import partial

from temporalio import workflow

from runbook_model import ids
from runbook_model.bounds import REPORT_BYTES, within
from runbook_model.incident import messages
from runbook_model.incident.account import Account
from runbook_model.incident.alerts import AlertBatch
from runbook_model.incident.messages import ProcedureProgress
from runbook_model.reports import Report
from workflows.decisions.scaling import capacity_left
from workflows.incidents.figures import take_and_count
from workflows.incidents.orders import IncidentOrders
from workflows.incidents.remediating import Remediating
from workflows.incidents.report import IncidentReport, report
from workflows.page.handlers import TakesOrders, takes_signal, takes_update
from workflows.page.inbox import Inbox, reading

BATCH_BYTES = 512 * 1024
"""Of one signal with alerts: twice what the receiver sends."""


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
