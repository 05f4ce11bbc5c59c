"""Verifies what a change brings along: a yes to the very call that is about to be sent, by people who may give it.

Standing statements are files of the worker's own, each an order and its signatures; they are read again each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from temporalio import activity

from activities.authority.signers import read_signers
from activities.authority.verify import verify_all, verify_statement, verify_warrant
from runbook_model.authority.canonical import hash_of
from runbook_model.authority.order import Authority, ChangeOrder
from runbook_model.authority.shown import APPROVE, Shown, hash_of_target, read_shown
from runbook_model.authority.standing import StandingAnswer, StandingFile, parse_standing
from runbook_model.authority.statement import (
    SKEW,
    Expected,
    SignedStatement,
    parse_statement,
    subject_of_order,
)
from runbook_model.calls import same_call
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.target import Target
from runbook_model.errors import NotWarrantedError, Rejected
from runbook_model.names.ids import answered_at, is_ledger_of, is_under_lock
from runbook_model.names.procedures import procedure_of
from runbook_model.plans import DAY, PlannedCall

if TYPE_CHECKING:
    from activities.authority.signers import Signers

FIX = "answer the question again, and sign it"
LARGEST: Final = 200_000
"""Bytes of a file."""


class Runs(Protocol):
    """What Temporal itself says of runs, whatever a change brings along."""

    async def first_made(self, workflow_id: str, run_id: str, document: str) -> datetime | None:
        """Return when a run made the first change by what people were shown."""

    async def is_under(self, run: tuple[str, str], parent: tuple[str, str]) -> bool:
        """Whether a run is another one, or a child under it."""


class Warrants:
    """Verifies warrants by the worker's own file of signers, which is read again each time."""

    def __init__(self, signers: Path | None, standing: Standing, runs: Runs) -> None:
        self._signers = signers
        self._standing = standing
        self._runs = runs

    async def authorize(self, given: object, target: Target) -> tuple[str, ...]:
        """Return the ids of the decisions by which a change may be sent now.

        Raises:
            NotWarrantedError: none of what it brings along is a valid yes to this very call.
            SignersError: who may sign cannot be read.
        """
        if not isinstance(given, ChangeOrder):
            raise NotWarrantedError(
                f"decisions are signed here, and what {activity.info().activity_type} is given carries none",
                fix="its package has to derive its input from ChangeOrder, and say its call",
            )
        signers = await asyncio.to_thread(read_signers, self._signers)
        answer = self._stands(given, target, signers)
        if answer.name:
            return ()
        why = Rejected(f"decisions are signed here, and nobody signed this change; {answer.why}", fix=FIX)
        for authority in reversed(given.authorities):
            try:
                return await self._verify(authority, given, target, signers)
            except Rejected as error:
                why = error
        raise NotWarrantedError(why.message, fix=why.fix or FIX)

    def _stands(self, given: ChangeOrder, target: Target, signers: Signers) -> StandingAnswer:
        """Look whether people agreed to the change beforehand."""
        info = activity.info()
        own = is_under_lock(info.workflow_id or "", target.environment, target.service)
        procedure = procedure_of(info.workflow_type or "") if own else None
        return self._standing.covers(
            target, procedure, [given.call], namespace=info.namespace, signers=signers, now=datetime.now(UTC)
        )

    async def _verify(
        self, authority: Authority, given: ChangeOrder, target: Target, signers: Signers
    ) -> tuple[str, ...]:
        now = datetime.now(UTC)
        if is_ledger_of(activity.info().workflow_id or "", target.environment, target.service):
            return _verify_mark(authority, given, target, signers, now)
        document = authority.warrant.document
        shown = read_shown(document, hash_of(document))
        _check_run(authority, given, target)
        if shown.target_hash != hash_of_target(target):
            raise Rejected(f"the catalog's {target.key} changed after the yes", fix=FIX)
        at = now
        if not _is_shown(given, shown):
            made = await self._runs.first_made(authority.workflow_id, authority.run_id, document)
            at = made or now
            _check_follows(given, shown, now, at + target.scale.hold + DAY)
        expected = Expected(
            kinds=("approve",),
            namespace=activity.info().namespace,
            workflow_id=authority.workflow_id,
            run_id=authority.run_id,
            environment=target.environment,
            service=target.service,
            procedure=authority.procedure,
            gate=authority.gate,
            options=APPROVE,
            requester=authority.requester,
        )
        known = started_by_known(authority, target, signers) and await self._is_its_start(authority, target)
        needed = target.approvals.needed + (0 if known else 1)
        found = verify_warrant(authority.warrant, expected, target.approvals, signers, at, needed=needed)
        return tuple(sorted(item.decision_id for item in found.people))

    async def _is_its_start(self, authority: Authority, target: Target) -> bool:
        """Whether the start that is signed is that of the run that asked, or of one that it is a child of."""
        start = authority.start
        if start is None or authority.automatic or target.approvals.requester_may:
            return True
        own = (authority.workflow_id, authority.run_id)
        return await self._runs.is_under(own, (start.workflow_id, start.run_id))


def _verify_mark(
    authority: Authority, given: ChangeOrder, target: Target, signers: Signers, now: datetime
) -> tuple[str, ...]:
    """Verify what people say of a release: the order itself is signed, for this very run."""
    info = activity.info()
    expected = Expected(
        kinds=("release-mark",),
        namespace=info.namespace,
        workflow_id=info.workflow_id,
        run_id=info.workflow_run_id,
        environment=target.environment,
        service=target.service,
        subject=subject_of_order("release-mark", given.call.parameters),
    )
    wanted = max(1, target.approvals.needed)
    found = verify_all(authority.warrant.statements, expected, target.approvals, signers, now, needed=wanted)
    return tuple(sorted(item.decision_id for item in found.people))


def started_by_known(authority: Authority, target: Target, signers: Signers) -> bool:
    """Whether it is known who asked for the run, or nobody has to be: else one approval more is needed."""
    if authority.automatic or target.approvals.requester_may:
        return True
    start = authority.start
    if start is None or answered_at(authority.workflow_id) != answered_at(start.workflow_id):
        return False
    expected = Expected(
        kinds=("start",),
        namespace=activity.info().namespace,
        workflow_id=start.workflow_id,
        run_id=start.run_id,
        environment=target.environment,
        service=target.service,
        procedure=start.procedure,
        subject=subject_of_order("start", {"requested_by": authority.requester}),
        requester=authority.requester,
    )
    try:
        asked_at = parse_statement(start.statement).issued_at
        signed = SignedStatement(statement=start.statement, signature=start.signature)
        verify_statement(signed, expected, target.approvals, signers, asked_at)
    except Rejected:
        return False
    return True


def _check_run(authority: Authority, given: ChangeOrder, target: Target) -> None:
    """Let a yes pass that was given to the run that asks, or to one whose scale-out it takes back."""
    info = activity.info()
    run = (authority.workflow_id, authority.run_id)
    if is_under_lock(info.workflow_id or "", target.environment, target.service):
        procedure = procedure_of(info.workflow_type or "")
        if run != (info.workflow_id, info.workflow_run_id) or authority.procedure != procedure:
            raise Rejected("the yes was given to another run", fix=FIX)
    elif run not in {(item.workflow_id, item.run_id) for item in getattr(given, "runs", ())}:
        raise Rejected("the yes was given to a run that did not scale out", fix="set the count by hand")


def _is_shown(given: ChangeOrder, shown: Shown) -> bool:
    """Whether the call is one of those that people were shown, on the same state."""
    return (
        any(same_call(given.call, call) for call in shown.calls)
        and (shown.fence is None or given.planned_fence in {None, shown.fence})
        and given.planned_essence in {None, shown.essence}
    )


def _check_follows(given: ChangeOrder, shown: Shown, now: datetime, latest: datetime) -> None:
    """Let a call pass that may follow from the yes, in its time: what the document says, and what any plan would."""
    listed = [item for item in shown.follows if any(same_call(given.call, call) for call in item.calls)]
    if not listed:
        raise Rejected(f"{given.call.action} on this state is not what people said yes to", fix=FIX)
    until = min(latest, max(item.until for item in listed))
    if now > until + SKEW:
        raise Rejected(f"it was agreed until {until:%Y-%m-%d %H:%M} UTC", fix=FIX)


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
