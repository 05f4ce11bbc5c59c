"""A procedure that runs another as its child: what people say to the parent reaches the child, and its gate is shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from workflows.messages import Checkpoint, State

if TYPE_CHECKING:
    from workflows.steps.record import Record


class Family:
    """The child that a run waits for, and the parent that waits for it."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._child: workflow.ChildWorkflowHandle[Any, Any] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def child_id(self) -> str | None:
        """Id of the child that is under way."""
        return self._child.id if self._child else None

    def adopt(self, child: workflow.ChildWorkflowHandle[Any, Any] | None) -> None:
        """Note the child that is waited for, or that it ended."""
        self._child = child
        if child is None and self._record.report.checkpoint:
            self._shown(None)

    def pass_on(self, signal: str, received: object) -> None:
        """Send to the child what a person sent here."""
        if self._child is not None:
            self._send(self._child.signal(signal, received))

    def tell_parent(self, checkpoint: Checkpoint | None) -> None:
        """Show the parent the gate that is open here, or that it closed."""
        parent = workflow.info().parent
        if parent and not parent.workflow_id.startswith("incident/"):  # which hears of more than that
            handle = workflow.get_external_workflow_handle(parent.workflow_id, run_id=parent.run_id)
            self._send(handle.signal("child_checkpoint", checkpoint))

    def from_child(self, received: object) -> None:
        """Show the child's gate as this run's own."""
        if self._child is None:
            if received:
                self._record.reject("child_checkpoint", "no child is under way", received)
            return
        try:
            self._shown(Checkpoint.model_validate(received) if received else None)
        except ValidationError as error:
            self._record.reject("child_checkpoint", str(error), received)

    def _shown(self, checkpoint: Checkpoint | None) -> None:
        self._record.enter(State.AWAITING_APPROVAL if checkpoint else State.RUNNING)
        self._record.checkpoint(checkpoint)

    def _send(self, message: Any) -> None:
        # Kept until it is sent: a run that ended meanwhile cannot be told, and need not be.
        task = asyncio.ensure_future(_sent(message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)


async def _sent(message: Any) -> None:
    try:
        await message
    except Exception:  # noqa: BLE001 - the other run is over
        workflow.logger.info("a message to a run that is over was not delivered")
