"""What a drill's plans say, and what changed since the drill before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from runbook_model.catalog.catalog import Target
from runbook_model.checks import PLAN, ROLLBACK_PLAN, Check, Drilled, Known
from runbook_model.reports import Outcome, Problem, Report
from runbook_model.text.sentences import with_fix

LOOKED: Final = "examination"
"""A check that is only there when it failed: without it the look was made."""
CHANGES = 5
"""So many changes are named in a message; there is a page for the rest."""
DETAIL = 160
"""Characters of each."""
Key = tuple[str | None, str]


def judge_plan(target: Target, procedure: str, report: Report) -> Check:
    """Whether a procedure that was asked for now would know what to do.

    A rollback must find what to put back. What the others plan depends on what they find, and that a healthy service needs
    nothing, or that a person is asked, is an answer too.
    """
    plan = report.plan
    if report.outcome is Outcome.PLANNED and plan:
        asks = f"; it would need a person's approval: {plan.needs_yes}" if plan.needs_yes else ""
        return _check(target, procedure, ok=True, detail=f"{plan.headline}{asks}")
    problem = report.error or Problem(kind="error", message=report.summary)
    detail = f"{report.outcome}: {problem.message}"
    if _name(procedure) != ROLLBACK_PLAN.name and report.outcome not in {Outcome.REFUSED, Outcome.FAILED}:
        return _check(target, procedure, ok=True, detail=detail)
    failed = any(step.state == "failed" for step in report.steps)
    if _name(procedure) != ROLLBACK_PLAN.name and problem.kind == "policy" and not failed:
        return _check(target, procedure, ok=None, detail=detail)  # it is not for what is there now
    return no_plan(target, procedure, detail, problem.fix)


def no_plan(target: Target, procedure: str, why: str, fix: str | None) -> Check:
    """Say that no plan was made."""
    again = PLAN.fix.format(procedure=procedure, target=target.key)
    return _check(target, procedure, ok=False, detail=why, fix=fix or again)


def unplanned(target: Target, procedure: str, checks: Iterable[Check]) -> Check | None:
    """Say why no plan is even asked for: the target has nothing that the procedure could change."""
    if procedure == "database-issues" and target.database is None:
        table = f"[services.{target.service}.{target.environment}]"
        return _check(target, procedure, ok=None, detail=f"no database in {table}")
    if _name(procedure) != ROLLBACK_PLAN.name:
        return None
    if target.platform != "ecs":
        return _check(target, procedure, ok=None, detail="it does not run on ECS")
    good = next(
        (check for check in checks if check.service == target.service and check.name == "last-known-good"),
        None,
    )
    return _check(target, procedure, ok=None, detail=good.detail) if good and good.ok is None else None


def conclude(
    environment: str,
    at: datetime,
    services: Iterable[str],
    checks: Iterable[Check],
    before: Drilled | None,
) -> Drilled:
    """Compare a drill with the one before.

    Counted is what was last known for sure: something that could not be determined in between neither broke nor was fixed.
    """
    found, names = tuple(checks), tuple(services)
    was = {(item.service, item.name): item.ok for item in before.known} if before else {}
    now = _known(found, names)
    # A catalog that cannot be read names no service: nothing is forgotten by that.
    kept = {key: ok for key, ok in was.items() if not names or key[0] is None or key[0] in names}
    return Drilled(
        environment=environment,
        at=at,
        services=names,
        checks=found,
        broke=tuple(item for item in found if item.ok is False and was.get(_key(item)) is True),
        restored=tuple(
            item
            for item in (*found, *_looked_again(environment, now, was))
            if item.ok and was.get(_key(item)) is False
        ),
        since=before.at if before else None,
        known=tuple(Known(service=service, name=name, ok=ok) for (service, name), ok in (kept | now).items()),
    )


def notify_later(drill: Drilled, before: Drilled | None, why: str) -> Drilled:
    """Forget what changed where nobody could be given, so that the next drill finds it again."""
    was = {(item.service, item.name): item for item in before.known} if before else {}
    changed = {_key(item) for item in (*drill.broke, *drill.restored)}
    known = (was[key] if (key := (item.service, item.name)) in changed else item for item in drill.known)
    return drill.model_copy(update={"known": tuple(known), "not_notified": why})


def words(drill: Drilled) -> str | None:
    """Say in one line what changed since the last drill; None where there is nothing to report."""
    if not (drill.broke or drill.restored):
        return None
    groups = (("a drill finds that no longer in place", drill.broke), ("in place again", drill.restored))
    lines = (f"{what}: {_listed(checks)}" for what, checks in groups if checks)
    return f"{'. '.join(lines)}. All of it: runbook drill {drill.environment}"


def _listed(checks: tuple[Check, ...]) -> str:
    text = [_text(check) for check in checks[:CHANGES]]
    more = [f"and {len(checks) - CHANGES} more"] if len(checks) > CHANGES else []
    return "; ".join((*text, *more))


def _text(check: Check) -> str:
    what = f"{check.service or 'all services'}: {check.name}"
    if check.ok:
        return what
    detail = check.detail if len(check.detail) <= DETAIL else f"{check.detail[:DETAIL]}…"
    return f"{what} ({with_fix(detail, check.fix)})"


def _known(checks: tuple[Check, ...], services: tuple[str, ...]) -> dict[Key, bool]:
    known = {_key(check): check.ok for check in checks if check.ok is not None}
    for service in (None, *services) if services else ():
        known.setdefault((service, LOOKED), True)
    return known


def _looked_again(environment: str, now: dict[Key, bool], was: dict[Key, bool]) -> Iterable[Check]:
    for (service, name), ok in now.items():
        if name == LOOKED and ok and was.get((service, name)) is False:
            yield Check(environment=environment, service=service, name=name, ok=True, detail="finished again")


def _key(check: Check) -> Key:
    return check.service, check.name


def _name(procedure: str) -> str:
    return f"{procedure}{PLAN.name}"


def _check(target: Target, procedure: str, *, ok: bool | None, detail: str, fix: str | None = None) -> Check:
    return Check(
        environment=target.environment,
        service=target.service,
        name=_name(procedure),
        ok=ok,
        detail=detail,
        fix=fix,
    )
