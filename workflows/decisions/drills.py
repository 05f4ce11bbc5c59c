"""What a drill's plan says, and what changed since the drill before it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbook_model.checks import Check, Drilled, Known
from runbook_model.reports import Outcome, Problem
from runbook_model.sentences import with_fix
from workflows.decisions.checkup import CAUSES as CAUSES_OF_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from runbook_model.catalog.catalog import Target
    from runbook_model.reports import Report

PLAN: Final = "rollback-plan"
CAUSES: Final = CAUSES_OF_CHECKS | {
    PLAN: (
        *CAUSES_OF_CHECKS["deployments"],
        *("controller", "deployments", "task-definitions", "last-known-good"),
    )
}
"""Check -> checks that it cannot pass without."""
LOOKED: Final = "examination"
"""A check that is only there when it failed: without it the look was made."""
TOLD = 5
"""So many changes are told in words; there is a page for the rest."""
LONGEST = 160
Key = tuple[str | None, str]


def judge_plan(target: Target, report: Report) -> Check:
    """Whether a rollback that was asked for now would know what to do."""
    plan = report.plan
    if report.outcome is Outcome.PLANNED and plan:
        asks = f"; it would need a person's yes: {plan.needs_yes}" if plan.needs_yes else ""
        return _check(target, ok=True, detail=f"{plan.headline}{asks}")
    problem = report.error or Problem(kind="error", message=report.summary)
    return no_plan(target, f"{report.outcome}: {problem.message}", problem.fix)


def no_plan(target: Target, why: str, fix: str | None) -> Check:
    """Say that no plan was made."""
    again = f"runbook start rollback {target.key} --plan shows it again"
    return _check(target, ok=False, detail=why, fix=fix or again)


def unplanned(target: Target, checks: Iterable[Check]) -> Check | None:
    """Say why no plan is even asked for: it runs by compose, or there is no release to go back to yet."""
    if target.platform != "ecs":
        return _check(target, ok=None, detail="it does not run on ECS")
    good = next(
        (one for one in checks if one.service == target.service and one.name == "last-known-good"), None
    )
    if good and good.ok is None:
        return _check(target, ok=None, detail=good.detail)
    return None


def conclude(
    environment: str,
    at: datetime,
    services: Iterable[str],
    checks: Iterable[Check],
    before: Drilled | None,
) -> Drilled:
    """Compare a drill with the one before.

    Counted is what was last known for sure: something that could not be told in between neither broke nor was mended.
    """
    found, names = tuple(checks), tuple(services)
    was = {(one.service, one.name): one.ok for one in before.known} if before else {}
    now = _known(found, names)
    # A catalog that cannot be read names no service: nothing is forgotten by that.
    kept = {key: ok for key, ok in was.items() if not names or key[0] is None or key[0] in names}
    return Drilled(
        environment=environment,
        at=at,
        services=names,
        checks=found,
        broke=tuple(one for one in found if one.ok is False and was.get(_key(one)) is True),
        mended=tuple(
            one
            for one in (*found, *_looked_again(environment, now, was))
            if one.ok and was.get(_key(one)) is False
        ),
        since=before.at if before else None,
        known=tuple(Known(service=service, name=name, ok=ok) for (service, name), ok in (kept | now).items()),
    )


def told_later(drill: Drilled, before: Drilled | None, why: str) -> Drilled:
    """Forget what changed where nobody could be told, so that the next drill finds it again."""
    was = {(one.service, one.name): one for one in before.known} if before else {}
    changed = {_key(one) for one in (*drill.broke, *drill.mended)}
    known = (was[key] if (key := (one.service, one.name)) in changed else one for one in drill.known)
    return drill.model_copy(update={"known": tuple(known), "untold": why})


def words(drill: Drilled) -> str | None:
    """Say in one line what changed since the last drill; None where there is nothing to tell."""
    if not (drill.broke or drill.mended):
        return None
    groups = (("a drill finds that no longer in place", drill.broke), ("in place again", drill.mended))
    lines = (f"{what}: {_listed(checks)}" for what, checks in groups if checks)
    return f"{'. '.join(lines)}. All of it: runbook drill {drill.environment}"


def _listed(checks: tuple[Check, ...]) -> str:
    told = [_told(one) for one in checks[:TOLD]]
    more = [f"and {len(checks) - TOLD} more"] if len(checks) > TOLD else []
    return "; ".join((*told, *more))


def _told(check: Check) -> str:
    what = f"{check.service or 'all services'}: {check.name}"
    if check.ok:
        return what
    detail = check.detail if len(check.detail) <= LONGEST else f"{check.detail[:LONGEST]}…"
    return f"{what} ({with_fix(detail, check.fix)})"


def _known(checks: tuple[Check, ...], services: tuple[str, ...]) -> dict[Key, bool]:
    known = {_key(one): one.ok for one in checks if one.ok is not None}
    for service in (None, *services) if services else ():
        known.setdefault((service, LOOKED), True)
    return known


def _looked_again(environment: str, now: dict[Key, bool], was: dict[Key, bool]) -> Iterable[Check]:
    for (service, name), ok in now.items():
        if name == LOOKED and ok and was.get((service, name)) is False:
            yield Check(environment=environment, service=service, name=name, ok=True, detail="finished again")


def _key(check: Check) -> Key:
    return check.service, check.name


def _check(target: Target, *, ok: bool | None, detail: str, fix: str | None = None) -> Check:
    return Check(
        environment=target.environment, service=target.service, name=PLAN, ok=ok, detail=detail, fix=fix
    )
