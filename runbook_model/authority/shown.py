"""What a gate shows: one document, frozen when the gate opens, and the hash that answers carry. Pure.

An activity writes it down as canonical JSON, and workflow code only carries that text: a hash over sentences that workflow
code computed would come out differently on replay once a sentence is reworded. Clients read the text, refuse fields that
they do not know, and compute the hash themselves.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from runbook_model.authority.canonical import canonical, hash_of, subject_of
from runbook_model.catalog.target import Target
from runbook_model.errors import Rejected
from runbook_model.fact import first_problem
from runbook_model.messages import Message
from runbook_model.plans import Follow, FollowKind, Plan, PlannedCall
from runbook_model.releases.release import Fence
from runbook_model.reports import Task

APPROVE = ("approve",)
NOT_ALL = "this version cannot show all that the gate shows"
OTHER_VERSION = "use the version that the worker has"


class GateRequest(Message):
    """What a run is about to ask."""

    run_id: str
    number: int
    """Counts what the run asks: of two questions in the same words each has a hash of its own."""
    target: str
    """``<environment>/<service>``."""
    resolved: Target | None = None
    """The target as the catalog has it, where the question is about one: its hash is shown."""
    question: str
    why: str | None = None
    plan: Plan | None = None
    task: Task | None = None
    options: tuple[str, ...] = APPROVE


class Following(Message):
    """What may follow from a yes without another one: an undo, a value put back, a mark, a registration."""

    kind: FollowKind
    what: str
    """One sentence."""
    calls: tuple[PlannedCall, ...] = ()
    until: AwareDatetime
    """It is not made later than this."""


class Shown(Message):
    """What people are shown and agree to; it does not change any more."""

    question: str
    headline: str
    reasons: tuple[str, ...] = ()
    target: str
    """``<environment>/<service>``."""
    target_hash: str | None = None
    """Of the target as the worker's catalog had it: after a change of the catalog the yes is void."""
    calls: tuple[PlannedCall, ...] = ()
    fence: Fence | None = None
    not_restored: tuple[str, ...] = ()
    essence: str = ""
    """What else the yes is bound to, such as the hash of a Terraform plan."""
    options: tuple[str, ...]
    follows: tuple[Following, ...] = ()
    plan_hash: str
    """What answers carry: of a plan its own hash, of any other question one of this very question."""


class Opened(Message):
    """What a gate shows, as it was written down when the gate opened."""

    document: str
    """``Shown`` as canonical JSON; carried as it is and never written again."""
    subject: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The SHA-256 of the document, which signatures are over."""
    gate: int
    """Which of the run's questions it is."""

    @property
    def shown(self) -> Shown:
        """What it says; fields of a later version are passed over."""
        return Shown.model_validate_json(self.document)

    @property
    def plan_hash(self) -> str:
        """What answers carry."""
        return self.shown.plan_hash


def show(asked: GateRequest, now: datetime) -> Opened:
    """Record the question.

    Raises:
        InputError: it cannot be written as canonical JSON.
    """
    plan, task = asked.plan, asked.task
    shown = Shown(
        question=asked.question,
        headline=asked.why or (plan.headline if plan else asked.question),
        reasons=plan.because if plan else task.look_at if task else (),
        target=asked.target,
        target_hash=hash_of_target(asked.resolved) if asked.resolved else None,
        calls=plan.calls if plan else (),
        fence=plan.fence if plan else None,
        not_restored=plan.not_restored if plan else (),
        essence=plan.essence if plan else "",
        options=asked.options,
        follows=tuple(_following(follow, now) for follow in plan.follows) if plan else (),
        plan_hash=plan_hash(plan, asked.options) if plan else _hash(asked.model_dump(mode="json")),
    )
    document = canonical(shown.model_dump(mode="json"))
    return Opened(document=document, subject=hash_of(document), gate=asked.number)


def read_shown(document: str, subject: str) -> Shown:
    """Read what a gate shows, as whoever signs or verifies it must: every field known, and the hash computed here.

    Raises:
        Rejected: the hash is another, or this version cannot show all of it.
    """
    if hash_of(document) != subject:
        raise Rejected("what the gate shows does not have the hash that it is named by", fix="do not sign it")
    try:
        shown = Shown.model_validate_json(document, extra="forbid")
    except ValidationError as error:
        raise Rejected(f"{NOT_ALL}: {first_problem(error)}", fix=OTHER_VERSION) from None
    if canonical(shown.model_dump(mode="json")) != document:
        raise Rejected(f"{NOT_ALL}: it is written in another way", fix=OTHER_VERSION)
    return shown


def hash_of_target(target: Target) -> str:
    """Return the hash of a target as the catalog has it, its policies included; a run adds its trace to the links."""
    return subject_of(target.model_dump(mode="json", exclude={"links"}))


def plan_hash(plan: Plan, options: tuple[str, ...] = APPROVE) -> str:
    """Name this very plan: the same calls on the same state; a plan that is made again has the same hash."""
    essence = plan.model_dump(mode="json", include={"calls", "fence", "not_restored", "essence"})
    releases = {
        name: (release.task_definition, release.digests)
        for name, release in (("from", plan.before), ("to", plan.after))
        if release
    }
    return _hash(essence | releases | {"options": options})


def _following(follow: Follow, now: datetime) -> Following:
    until = (now + follow.within).replace(microsecond=0)
    return Following(kind=follow.kind, what=follow.what, calls=follow.calls, until=until)


def _hash(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
