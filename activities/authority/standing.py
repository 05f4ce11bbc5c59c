"""Standing statements: files of the worker's own, each an order and its signatures; read again each time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from activities.authority.verify import verify_all
from runbook_model.authority.expected import SKEW, Expected
from runbook_model.authority.standing import StandingAnswer, StandingFile, parse_standing
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.target import Target
from runbook_model.errors import Rejected
from runbook_model.plans import PlannedCall

if TYPE_CHECKING:
    from activities.authority.signers import Signers

LARGEST: Final = 200_000
"""Bytes of a file."""


class Standing:
    """The orders of a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def covers(
        self,
        target: Target,
        procedure: str | None,
        calls: Iterable[PlannedCall],
        *,
        namespace: str,
        signers: Signers,
        now: datetime,
    ) -> StandingAnswer:
        """Name the order that covers every one of some calls, or say why none does."""
        why = "no standing statement is for automatic changes here"
        for path in self.files():
            try:
                found = read_standing(path)
                check_standing(found, target.environment, target.approvals, namespace, signers, now)
            except (Rejected, OSError) as error:
                why = f"{path.name}: {error}"
                continue
            refused = [found.order.refuses(target.key, procedure, call) for call in calls]
            problem = next(filter(None, refused), None)
            if problem is None:
                return StandingAnswer(name=path.stem)
            why = f"{path.name}: {problem}"
        return StandingAnswer(why=why)

    def files(self) -> list[Path]:
        """List the files of the folder."""
        return sorted(self._folder.glob("*.json")) if self._folder else []


def read_standing(path: Path) -> StandingFile:
    """Read a file.

    Raises:
        Rejected, OSError: it is none, or cannot be read.
    """
    with path.open("rb") as file:
        return parse_standing(file.read(LARGEST + 1).decode(errors="replace"))


def check_standing(
    found: StandingFile,
    environment: str,
    approvals: Approvals,
    namespace: str,
    signers: Signers,
    now: datetime,
) -> None:
    """Let an order pass that counts in an environment now.

    Raises:
        Rejected: it ended, or too few people signed it.
    """
    if now > found.order.until + SKEW:
        raise Rejected(f"it ended at {found.order.until:%Y-%m-%d %H:%M} UTC")
    expected = Expected(
        kinds=("standing",), namespace=namespace, environment=environment, subject=found.order.subject
    )
    verify_all(found.statements, expected, approvals, signers, now)
