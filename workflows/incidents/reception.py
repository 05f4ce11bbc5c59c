"""What every incident takes from alerts, procedures and people, and tells them: signals, updates and a query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio import workflow

from runbook_model.incident import messages
from runbook_model.incident.alerts import AlertBatch
from runbook_model.reports import Answer
from workflows.incidents.figures import take_and_count
from workflows.incidents.report import IncidentReport, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbook_model.incident.account import Account
    from workflows.incidents.inbox import IncidentInbox
    from workflows.incidents.remediating import Remediating


class Reception:
    """Whatever reaches an incident goes through here; its handlers only pass on, and declare no type for what they take."""

    account: Account
    inbox: IncidentInbox
    remediating: Remediating
    stirred: bool
    """Whether something came that may change what is done next."""

    @workflow.signal(name=messages.ALERTS, description="Alerts of this target: an AlertBatch")
    def take_alerts(self, request: object = None) -> None:
        """Take alerts; those that are known change nothing."""
        try:
            batch = AlertBatch.model_validate(request)
        except ValidationError as error:
            self.reject(messages.ALERTS, str(error), request)
            return
        if take_and_count(self.account, batch.alerts, batch.received):
            self.stirred = True
        if self.account.policy and not self.account.policy.unreadable:
            self.account.alerts.place(self.account.policy.matrix)

    @workflow.signal(name=messages.PROCEDURE_PROGRESS, description="Sent by the procedure under way")
    def take_procedure(self, request: object = None) -> None:
        """Learn how the procedure goes."""
        self._from_procedure(messages.PROCEDURE_PROGRESS, self.remediating.heard, request)

    @workflow.signal(name=messages.PROCEDURE_ENDED, description="Sent by a procedure at its end")
    def take_end_of_procedure(self, request: object = None) -> None:
        """Learn how the procedure ended."""
        self._from_procedure(messages.PROCEDURE_ENDED, self.remediating.heard_end, request)

    @workflow.signal(description="Passed on to the procedure that waits: {by, plan_hash?, option?, comment?}")
    def approve(self, request: object = None) -> None:
        """Pass a person's answer on."""
        self._from_signal("approve", self.inbox.approve, request)

    @workflow.signal(description="Begin nothing more, and stop the procedure under way: {by, reason, keep?}")
    def abort(self, request: object = None) -> None:
        """Begin nothing more by itself."""
        self._from_signal("abort", self.inbox.stop, request)

    @workflow.signal(
        name="pause", description="Begin nothing, and hold the procedure under way: {by, reason?}"
    )
    def pause_by_signal(self, request: object = None) -> None:
        """Begin nothing for now."""
        self._from_signal("pause", self.inbox.pause, request)

    @workflow.signal(name="resume", description="Go on after a pause: {by, reason?}")
    def resume_by_signal(self, request: object = None) -> None:
        """Go on."""
        self._from_signal("resume", self.inbox.resume, request)

    @workflow.signal(name=messages.ACKNOWLEDGE, description="A person has it: {by, reason?}")
    def acknowledge_by_signal(self, request: object = None) -> None:
        """Note that a person has it."""
        self._from_signal(messages.ACKNOWLEDGE, self.inbox.acknowledge, request)

    @workflow.signal(
        name=messages.NOTE, description="What you know: {by, impact?, root_cause?, eta?, observation?}"
    )
    def note_by_signal(self, request: object = None) -> None:
        """Keep what a person knows."""
        self._from_signal(messages.NOTE, self.inbox.note, request)

    @workflow.signal(name=messages.CLOSE, description="It is over: {by, root_cause}")
    def close_by_signal(self, request: object = None) -> None:
        """Take a person's word that it is over."""
        self._from_signal(messages.CLOSE, self.inbox.close, request)

    @workflow.update(description="As the signal approve, with an answer")
    def decide(self, request: object = None) -> Answer:
        """Pass a person's answer on."""
        return self._from_update(self.inbox.approve, request)

    @workflow.update(description="As the signal abort, with an answer")
    def abort_run(self, request: object = None) -> Answer:
        """Begin nothing more by itself."""
        return self._from_update(self.inbox.stop, request)

    @workflow.update(description="Begin nothing, and hold the procedure under way: {by, reason?}")
    def pause(self, request: object = None) -> Answer:
        """Begin nothing for now."""
        return self._from_update(self.inbox.pause, request)

    @workflow.update(description="Go on after a pause: {by, reason?}")
    def resume(self, request: object = None) -> Answer:
        """Go on."""
        return self._from_update(self.inbox.resume, request)

    @workflow.update(description="As the signal acknowledge, with an answer")
    def acknowledge(self, request: object = None) -> Answer:
        """Note that a person has it."""
        return self._from_update(self.inbox.acknowledge, request)

    @workflow.update(description="As the signal note, with an answer")
    def note(self, request: object = None) -> Answer:
        """Keep what a person knows."""
        return self._from_update(self.inbox.note, request)

    @workflow.update(description="As the signal close, with an answer")
    def close(self, request: object = None) -> Answer:
        """Take a person's word that it is over."""
        return self._from_update(self.inbox.close, request)

    @decide.validator
    def _check_decide(self, request: object = None) -> None:
        self.inbox.check("decide", request)

    @abort_run.validator
    def _check_abort_run(self, request: object = None) -> None:
        self.inbox.check("abort_run", request)

    @pause.validator
    def _check_pause(self, request: object = None) -> None:
        self.inbox.check("pause", request)

    @resume.validator
    def _check_resume(self, request: object = None) -> None:
        self.inbox.check("resume", request)

    @acknowledge.validator
    def _check_acknowledge(self, request: object = None) -> None:
        self.inbox.check("acknowledge", request)

    @note.validator
    def _check_note(self, request: object = None) -> None:
        self.inbox.check("note", request)

    @close.validator
    def _check_close(self, request: object = None) -> None:
        self.inbox.check("close", request)

    @workflow.query(description="The incident as it stands: alerts, procedures, what people know, who has it")
    def status(self) -> IncidentReport:
        """Tell how things stand."""
        return report(self.account, workflow.now())

    def _from_signal(self, name: str, take: Callable[[object], Answer], request: object) -> None:
        self.inbox.from_signal(name, take, request)
        self.stirred = True

    def _from_update(self, take: Callable[[object], Answer], request: object) -> Answer:
        self.stirred = True
        return self.inbox.from_update(take, request)

    def _from_procedure(
        self, name: str, take: Callable[[messages.ProcedureProgress], None], request: object
    ) -> None:
        try:
            take(messages.ProcedureProgress.model_validate(request))
        except ValidationError as error:
            self.reject(name, str(error), request)
        self.stirred = True

    def reject(self, name: str, why: str, received: object) -> None:
        """Show what could not be used."""
        self.account.reject(name, why, received, workflow.now())
        self.stirred = True
