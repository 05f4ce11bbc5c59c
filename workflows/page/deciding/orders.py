"""What people order of a run: approve, abort, pause, resume, acknowledge, note."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

from runbook_model.errors import InvalidMessage
from runbook_model.messages import Abort, Answer, Approval, Instruction, Note
from workflows.page.deciding.inbox import Inbox, parse, reading
from workflows.page.deciding.signing import Signing


class Pausable(Protocol):
    """What a person may hold."""

    paused_by: str | None
    resumed: int
    """How often it was resumed."""


class Orders(ABC):
    """The orders that procedures and incidents take alike; what is about the procedure below is passed on to it."""

    PAUSED: ClassVar[str]
    """What is answered to a pause."""

    def __init__(self, inbox: Inbox, held: Pausable, pass_on: Callable[[str, object], None]) -> None:
        self._held = held
        self._pass_on = pass_on
        self.signing = Signing()
        inbox.on(
            "approve",
            read_approval,
            self.approve,
            judge=self.judge_approval,
            verify=self.verify_approval,
            known=self.knows,
        )
        inbox.on("abort", reading(Abort), self.stop, judge=self.judge_abort, verify=self.verify_abort)
        inbox.on("pause", reading(Instruction), self.pause, judge=self.judge_hold)
        inbox.on(
            "resume", reading(Instruction), self.resume, judge=self.judge_hold, verify=self.verify_resume
        )
        inbox.on("acknowledge", reading(Instruction), self.acknowledge, judge=self.judge_hold)
        inbox.on("note", reading(Note), self.note, judge=judge_note)

    @property
    def paused_by(self) -> str | None:
        """Who holds the run."""
        return self._held.paused_by

    def pause(self, hold: Instruction) -> Answer:
        """Pause before the next step."""
        if self.paused_by:
            return Answer(detail=f"already paused by {self.paused_by}", already=True)
        self._held.paused_by = hold.by
        self._pass_on("parent_paused", hold)
        self.decided("pause", hold.by, hold.reason or "")
        return Answer(detail=self.PAUSED)

    def lapse(self) -> str:
        """End a pause that nobody signed; returns what is said about it."""
        by, self._held.paused_by = self._held.paused_by, None
        said = f"the pause by {by} lapses: it is not signed, and stops nothing for longer"
        self.decided("resume", "the runbook", said)
        return said

    def resume(self, hold: Instruction) -> Answer:
        """Continue."""
        if self.paused_by is None:
            return Answer(detail="not paused", already=True)
        self._held.paused_by = None
        self._held.resumed += 1
        self._pass_on("parent_resumed", hold)
        self.decided("resume", hold.by, hold.reason or "")
        return Answer(detail="continuing")

    def note(self, note: Note) -> Answer:
        """Keep what a person knows."""
        self.decided("note", note.by, note.line)
        return Answer(detail="noted")

    @abstractmethod
    def approve(self, approval: Approval) -> Answer:
        """Take a person's answer."""

    @abstractmethod
    def stop(self, order: Abort) -> Answer:
        """Take the order to stop safely."""

    @abstractmethod
    def acknowledge(self, hold: Instruction) -> Answer:
        """Note that a person has it."""

    @abstractmethod
    def judge_approval(self, approval: Approval) -> Approval:
        """Return the approval if it can be used now."""

    @abstractmethod
    def decided(self, kind: str, by: str, detail: str) -> None:
        """Write down what a person decided."""

    @property
    @abstractmethod
    def place(self) -> tuple[str, str]:
        """Environment and service of the run."""

    def judge_abort(self, order: Abort) -> Abort:
        """Return the order as it is taken."""
        return order

    def judge_hold(self, hold: Instruction) -> Instruction:
        """Return the pause, resume or acknowledgement if it can be used now."""
        return hold

    async def verify_approval(self, approval: Approval) -> Approval:
        """Return the approval once its signature is verified; the run that asks does so."""
        return approval

    async def verify_abort(self, order: Abort) -> Abort:
        """Return the order once its signature is verified; the run that would undo does so."""
        return order

    async def verify_resume(self, hold: Instruction) -> Instruction:
        """Return the order to continue, once its signature is verified where it needs one."""
        environment, service = self.place
        await self.signing.of_order(
            "resume",
            hold,
            {"reason": hold.reason},
            environment=environment,
            service=service,
            sequence=self._held.resumed,
        )
        return hold

    def knows(self, approval: Approval) -> bool:  # noqa: ARG002 - a procedure knows more
        """Whether the same answer was recorded before."""
        return False


def judge_note(note: Note) -> Note:
    """Return a note that says something."""
    if not note.said:
        raise InvalidMessage("the note is empty", fix="give impact, root_cause, eta or observation")
    return note


def read_approval(received: object) -> Approval:
    """Read an approval; by which key it was signed is found out and not believed."""
    return parse(Approval, received).model_copy(update={"key": None})
