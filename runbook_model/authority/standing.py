"""What people agree to beforehand: which procedures may change which targets by themselves, how far, and until when. Pure."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from runbook_model.authority.statement import SignedStatement, subject_of_order
from runbook_model.errors import Rejected
from runbook_model.fact import Fact, first_problem
from runbook_model.plans import PlannedCall

NEVER_LESS = frozenset({"TagResource"})
"""Calls that belong to every other one: what was found out is written down."""
COUNTS = ("desiredCount", "MinCapacity", "MaxCapacity")


class StandingOrder(BaseModel):
    """What is agreed to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[str, ...] = Field(min_length=1)
    """``<environment>/<service>``, of one environment."""
    procedures: tuple[str, ...] = Field(min_length=1)
    actions: tuple[str, ...] = Field(min_length=1)
    """The calls that may be made, such as ``UpdateService``."""
    most_tasks: int | None = Field(default=None, ge=1)
    """The most tasks that may be set; without it no count may be."""
    until: AwareDatetime

    @property
    def subject(self) -> str:
        """What a statement of kind ``standing`` is about."""
        return subject_of_order("standing", self.model_dump(mode="json"))

    def refuses(self, target: str, procedure: str | None, call: PlannedCall) -> str | None:
        """Say why a call is not covered; None where it is.

        Args:
            target: ``<environment>/<service>``.
            procedure: None for what only takes back.
            call: that is about to be made.
        """
        if target not in self.targets:
            return f"it is not for {target}"
        if procedure is not None and procedure not in self.procedures:
            return f"it is not for {procedure}"
        if call.action not in {*self.actions, *NEVER_LESS}:
            return f"it is not for {call.action}"
        counts = [call.parameters[name] for name in COUNTS if name in call.parameters]
        if counts and (self.most_tasks is None or max(counts) > self.most_tasks):
            return f"it allows {self.most_tasks or 'no'} tasks at most"
        return None


class StandingFile(BaseModel):
    """A file of a worker's: an order, and who signed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: StandingOrder
    statements: tuple[SignedStatement, ...]


class StandingQuestion(Fact):
    """A plan that a run would like to carry out without asking anybody."""

    environment: str
    service: str
    procedure: str
    calls: tuple[PlannedCall, ...]


class StandingAnswer(Fact):
    """Which order covers it, or why none does."""

    name: str | None = None
    why: str = ""


def parse_standing(text: str) -> StandingFile:
    """Read a file.

    Raises:
        Rejected: it is none.
    """
    try:
        return StandingFile.model_validate_json(text)
    except ValidationError as error:
        raise Rejected(first_problem(error)) from None
