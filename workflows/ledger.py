"""The ledger of releases: what is known of each, and a person's correction of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Literal

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.catalog.activities import CatalogActivities
from activities.ecs.activities import EcsActivities, ReleaseQuery
from activities.ecs.changes import EcsChanges
from activities.ecs.orders import MarkRelease
from runbook_model.authority.order import Authority
from runbook_model.authority.statement import SignedStatement, Warrant
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.catalog.target import Target
from runbook_model.errors import InputError, PolicyError
from runbook_model.messages import Given, Message, StartSignature
from runbook_model.releases.release import Judgement, Mark, Release
from runbook_model.reports import Rejection
from runbook_model.text.durations import format_duration
from workflows.decisions.rollback.plan import (
    find_release,
    listed,
    may_be_a_revision,
    nearest_release,
    which_container,
)
from workflows.page.deciding.handlers import HasInbox, takes_signal
from workflows.page.deciding.inbox import Inbox, reading
from workflows.page.options import BEST_EFFORT, READ, ActivityOptions

NOT_IN_A_SOURCE = re.compile(r"[^\w.:/=+@-]+")
"""What AWS takes in no tag, and spaces, which part a mark's fields."""
# A person waits for the answer: an error that does not pass soon is reported instead of repeated for half an hour.
PATIENCE = timedelta(seconds=18)
SIGNED_WITHIN = timedelta(seconds=90)
"""How long a person may take to touch a key."""
MOST_SIGNATURES = 20
SIGN = "sign it: --sign KEYFILE, or RUNBOOK_SIGNING_KEY"
LOOK = ActivityOptions(**{**READ, "schedule_to_close_timeout": PATIENCE})
WRITE = ActivityOptions(**{**BEST_EFFORT, "schedule_to_close_timeout": PATIENCE})


class LedgerRequest(Message):
    """Show the ledger of a target, or mark one of its releases first."""

    service: str
    environment: str
    release: str | None = None
    """Revision, ``family:revision``, ARN, image tag or digest; None only shows."""
    judgement: Literal["good", "bad"] | None = None
    by: Given = "unknown"
    reason: Given | None = None
    signs: bool = False
    """Whether a signature follows, over the id of the run."""


class LedgerEntry(Message):
    """One release and what is known of it."""

    release: Release
    running: bool
    good: bool
    bad: bool


class LedgerPage(Message):
    """The ledger as it stands, newest release first."""

    entries: tuple[LedgerEntry, ...]


@workflow.defn
class ReleaseLedger(HasInbox):
    """Shows the ledger of releases of a target, after a person's correction if there is one."""

    def __init__(self) -> None:
        self.seen: tuple[str, ...] = ()
        self._inbox = Inbox(self)
        self._inbox.on("sign", reading(StartSignature), self._take)
        self._signatures: dict[str, SignedStatement] = {}
        """By who sent them; the change itself verifies whose they are."""

    sign = takes_signal("sign", "The signature of the correction: {by, decision_id, statement, signature}")

    @property
    def inbox(self) -> Inbox:
        """What judges and takes each message."""
        return self._inbox

    def keep_rejected(self, rejection: Rejection) -> None:
        """Keep nothing: the change itself says why a signature does not count."""

    def _take(self, signature: StartSignature) -> None:
        if signature.statement and signature.signature and len(self._signatures) < MOST_SIGNATURES:
            self._signatures[signature.by] = SignedStatement(
                statement=signature.statement, signature=signature.signature
            )

    @workflow.run
    async def run(self, request: LedgerRequest) -> LedgerPage:
        """Mark if asked to, then read."""
        try:
            return await self._run(request)
        except ActivityError as error:
            cause = error.cause
            raise cause if isinstance(cause, ApplicationError) else error from error

    async def _run(self, request: LedgerRequest) -> LedgerPage:
        names = TargetNames(service=request.service, environment=request.environment)
        target = await workflow.execute_activity_method(
            CatalogActivities.resolve_target, names, summary="Look up the target in the catalog", **LOOK
        )
        history = await workflow.execute_activity_method(
            EcsActivities.read_history, target, summary="Read what runs and what ran before", **LOOK
        )
        known = {
            release.task_definition: release for release in (*history.releases.values(), history.current)
        }
        if request.release and request.judgement:
            release = await _find(target, known.values(), request.release)
            authorities = await self._signed(target, request)
            marked = await _mark(target, release, request, authorities)
            known[marked.task_definition] = marked
        running = history.service.task_definition
        newest_first = sorted(known.values(), key=lambda item: -int(item.revision.rpartition(":")[2]))
        return LedgerPage(
            entries=tuple(
                LedgerEntry(
                    release=item,
                    running=item.task_definition == running,
                    good=item.is_verified,
                    bad=item.is_bad,
                )
                for item in newest_first
            )
        )

    async def _signed(self, target: Target, request: LedgerRequest) -> tuple[Authority, ...]:
        """Return what people signed, where decisions are signed: as many as approve; the change verifies it.

        Raises:
            ApplicationError: too few sign it.
        """
        if not target.approvals.signed:
            return ()
        wanted = max(1, target.approvals.needed)
        patience = SIGNED_WITHIN if wanted == 1 else target.approvals.timeout
        with suppress(TimeoutError):
            if request.signs:
                await workflow.wait_condition(lambda: len(self._signatures) >= wanted, timeout=patience)
        if len(self._signatures) < wanted:
            have = len(self._signatures)
            too_few = f"{have} of {wanted} people signed this within {format_duration(patience)}"
            why = too_few if have else "decisions are signed here, and this one is not"
            raise PolicyError(why, fix=SIGN).to_application_error()
        info = workflow.info()
        return (
            Authority(
                workflow_id=info.workflow_id,
                run_id=info.run_id,
                procedure="ledger",
                gate=0,
                requester=request.by,
                warrant=Warrant(document="", statements=tuple(self._signatures.values())),
            ),
        )


async def _find(target: Target, known: Collection[Release], name: str) -> Release:
    found = find_release(known, name)
    if isinstance(found, Release) and not may_be_a_revision(name):
        return _sure(target, found)
    query = ReleaseQuery(target=target, name=name)
    looked = await workflow.execute_activity_method(
        EcsActivities.find_release, query, summary=f"Look for {name}", **LOOK
    )
    found = find_release((*known, *looked.releases), name)
    if isinstance(found, Release):
        return _sure(target, found)
    if found:
        raise InputError(found.message, fix=found.fix).to_application_error()
    why = f'no release "{name}" of {target.key}{nearest_release(known, name)}'
    raise InputError(why, fix=listed(known)).to_application_error()


def _sure(target: Target, release: Release) -> Release:
    if unclear := which_container(target, release):
        raise InputError(unclear.message, fix=unclear.fix).to_application_error()
    return release


async def _mark(
    target: Target, release: Release, request: LedgerRequest, authorities: tuple[Authority, ...]
) -> Release:
    judgement = Judgement(request.judgement or "bad")
    source = NOT_IN_A_SOURCE.sub("-", request.by)
    mark = Mark(verdict=judgement, digest=release.fingerprint, source=source, at=workflow.now())
    await workflow.execute_activity_method(
        EcsChanges.mark_release,
        MarkRelease(target=target, release=release, mark=mark, authorities=authorities),
        summary=f"Mark {release.revision} {judgement}: {request.reason or 'no reason given'}",
        **WRITE,
    )
    return release.model_copy(update={"marks": (*release.marks, mark)})
