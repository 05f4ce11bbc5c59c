"""What a gate shows: one document, frozen when the gate opens, and the hash that answers carry. Pure.

An activity makes it, and workflow code only carries it: a hash over sentences that workflow code computed would come out
differently on replay once a sentence is reworded.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from runbook_model.messages import Message
from runbook_model.plans import Plan, PlannedCall
from runbook_model.release import Fence
from runbook_model.reports import Task

APPROVE = ("approve",)


class GateRequest(Message):
    """What a run is about to ask."""

    run_id: str
    number: int
    """Counts what the run asks: of two questions in the same words each has a hash of its own."""
    target: str
    """``<environment>/<service>``."""
    question: str
    why: str | None = None
    plan: Plan | None = None
    task: Task | None = None
    options: tuple[str, ...] = APPROVE


class Shown(Message):
    """What people are shown and agree to; it does not change any more."""

    question: str
    headline: str
    reasons: tuple[str, ...] = ()
    target: str
    calls: tuple[PlannedCall, ...] = ()
    fence: Fence | None = None
    not_restored: tuple[str, ...] = ()
    options: tuple[str, ...]
    plan_hash: str
    """What answers carry: of a plan its own hash, of any other question one of this very question."""


def show(asked: GateRequest) -> Shown:
    """Record the question."""
    plan, task = asked.plan, asked.task
    return Shown(
        question=asked.question,
        headline=asked.why or (plan.headline if plan else asked.question),
        reasons=plan.because if plan else task.look_at if task else (),
        target=asked.target,
        calls=plan.calls if plan else (),
        fence=plan.fence if plan else None,
        not_restored=plan.not_restored if plan else (),
        options=asked.options,
        plan_hash=plan_hash(plan, asked.options) if plan else _hash(asked.model_dump(mode="json")),
    )


def plan_hash(plan: Plan, options: tuple[str, ...] = APPROVE) -> str:
    """Name this very plan: the same calls on the same state; a plan that is made again has the same hash."""
    essence = plan.model_dump(mode="json", include={"calls", "fence", "not_restored", "essence"})
    releases = {
        name: (release.task_definition, release.digests)
        for name, release in (("from", plan.before), ("to", plan.after))
        if release
    }
    return _hash(essence | releases | {"options": options})


def _hash(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
