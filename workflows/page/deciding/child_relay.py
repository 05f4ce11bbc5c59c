"""A procedure that runs another as its child: what people say reaches the child; its gate and its changes are shown."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from runbook_model.errors import Rejected
from runbook_model.messages import Message
from runbook_model.names.ids import is_incident
from runbook_model.reports import Change, Checkpoint, Report, State
from workflows.page.deciding.inbox import Inbox, parse, reading
from workflows.page.options import Background
from workflows.page.telling.record import Record


class Changed(Message):
    """What a child has changed so far."""

    run_id: str
    """The child's: word of an earlier one may come late."""
    changes: tuple[Change, ...]


class ChildRelay:
    """The child that a run waits for, and the parent that waits for it."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._child: workflow.ChildWorkflowHandle[Any, Any] | None = None
        self._background = Background()
        self._reported: tuple[Change, ...] = ()
        record.listeners.append(self._report_changes)

    @property
    def child_id(self) -> str | None:
        """Id of the child that is under way."""
        return self._child.id if self._child else None

    def adopt(self, child: workflow.ChildWorkflowHandle[Any, Any] | None) -> None:
        """Note the child that is waited for, or that it ended."""
        self._child = child
        if child is not None:
            self._record.child_begins()
        elif self._record.report.checkpoint:
            self._shown(None)

    def pass_on(self, signal: str, received: object) -> None:
        """Send to the child what a person sent here."""
        if self._child is not None:
            self._background.send(self._child.signal(signal, received))

    def report_to_parent(self, checkpoint: Checkpoint | None) -> None:
        """Show the parent the gate that is open here, or that it closed."""
        if parent := _parent():
            self._background.send(parent.signal("child_checkpoint", checkpoint))

    def listen(self, inbox: Inbox) -> None:
        """Take what a child reports itself."""
        inbox.on("child_checkpoint", _read_checkpoint, self._take_checkpoint)
        inbox.on("child_changes", reading(Changed), self._take_changes)

    def _take_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Show the child's gate as this run's own."""
        if self._child is None and checkpoint:
            raise Rejected("no child is under way")
        if self._child is not None:
            self._shown(checkpoint)

    def _take_changes(self, changed: Changed) -> None:
        """Show what the child has changed as this run's own: it is under this run's lock."""
        # The report of an ended child has them.
        if self._child is not None and self._child.first_execution_run_id == changed.run_id:
            self._record.child_changed(changed.changes)

    def _report_changes(self, report: Report) -> None:
        """Tell the parent as soon as something was changed: people hear of it from there."""
        made = tuple(change for change in report.changes if change.certain)
        if made == self._reported or report.outcome is not None:
            return
        self._reported = made
        if parent := _parent():
            self._background.send(
                parent.signal("child_changes", Changed(run_id=workflow.info().run_id, changes=made))
            )

    def _shown(self, checkpoint: Checkpoint | None) -> None:
        self._record.enter(State.AWAITING_APPROVAL if checkpoint else State.RUNNING)
        self._record.checkpoint(checkpoint)


def procedure_above() -> workflow.ParentInfo | None:
    """Say which procedure waits for this one, if one does; an incident is none, and hears of more by other ways."""
    parent = workflow.info().parent
    return None if parent is None or is_incident(parent.workflow_id) else parent


def _parent() -> workflow.ExternalWorkflowHandle[Any] | None:
    above = procedure_above()
    return workflow.get_external_workflow_handle(above.workflow_id, run_id=above.run_id) if above else None


def _read_checkpoint(received: object) -> Checkpoint | None:
    return parse(Checkpoint, received) if received else None
