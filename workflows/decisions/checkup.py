"""What facts say of whether everything is in place, what a drill's plans say, and what changed since the drill before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from runbook_model.catalog.target import Target
from runbook_model.checks import NOT_ON_ECS, PLAN, POLICY, ROLLBACK_PLAN, ROWS, Check, Drilled, Known, row_of
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release, ServiceState
from runbook_model.releases.rollback_time import time_of_rollback
from runbook_model.reports import Outcome, Problem, Report
from runbook_model.text.sentences import with_fix
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.rollback.releases import cannot_roll_back, needs_more, plan_rollback

LOOKED: Final = "examination"
"""A check that is only there when it failed: without it the look was made."""

CHANGES = 5
"""So many changes are named in a message; there is a page for the rest."""

DETAIL = 160
"""Characters of each."""

Key = tuple[str | None, str]


def needs_revisions(target: Target, history: ReleaseHistory) -> bool:
    """Whether the last known good release is only found among other revisions of the family."""
    return cannot_roll_back(_as_if_it_ran(history.service)) is None and needs_more(
        target, _running(history), to=None
    )


def judge_controller(target: Target, service: ServiceState | None) -> Check:
    """Whether the service is deployed in a way that can be rolled back."""
    if target.platform != "ecs":
        return _check(target, "controller", ok=None, detail=NOT_ON_ECS)
    if service is None:
        return _unknown(target, "controller", "service")
    if problem := cannot_roll_back(_as_if_it_ran(service)):
        return _check(target, "controller", ok=False, detail=problem.message, fix=problem.fix)
    if service.shifting:
        way = f"{service.shifting.way}, by ECS itself; rolled back by a stop, or by an update once it has finished"
        takes = time_of_rollback(service.shifting, target.rollback.steady)
        return _check(target, "controller", ok=True, detail=way).model_copy(update={"rollback": takes})
    return _check(target, "controller", ok=True, detail="rolling deployments by ECS itself")


def judge_last_known_good(
    target: Target, history: ReleaseHistory | None, others: tuple[Release, ...]
) -> Check:
    """Whether there is a release to go back to, as a rollback would choose it now."""
    name = "last-known-good"
    if target.platform != "ecs":
        return _check(target, name, ok=None, detail=NOT_ON_ECS)
    if history is None:
        return _unknown(target, name, "deployments")
    if cannot_roll_back(_as_if_it_ran(history.service)):
        return _unknown(target, name, "controller")
    plan = plan_rollback(target, _running(history), others, to=None)
    if isinstance(plan, RollbackPlan):
        asks = f"; it would need a person's approval: {plan.needs_yes}" if plan.needs_yes else ""
        return _check(target, name, ok=True, detail=f"{plan.after.name}: {' '.join(plan.because)}{asks}")
    if _is_the_first(history, others):
        current = history.current.name
        return _check(
            target, name, ok=None, detail=f"nothing to go back to yet: {current} is the first release"
        )
    fix = f"runbook release list {target.key}; runbook release mark {target.key} RELEASE good --reason WHY"
    return _check(target, name, ok=False, detail=plan.summary, fix=fix)


def unread_revisions(target: Target, problem: Problem) -> Check:
    """Say that the release to go back to cannot be found, as the family's revisions cannot be read."""
    return _check(target, "last-known-good", ok=False, detail=problem.message, fix=problem.fix or POLICY)


def in_order(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Put checks as people read them, which is the table's order; what is not in it comes last, as it was."""
    place = {name: number for number, name in enumerate(ROWS)}
    return tuple(sorted(checks, key=lambda check: place.get(check.name, len(place))))


def settle(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Leave red only what is wrong by itself: what cannot pass because of another check is unknown."""
    found = tuple(checks)
    return tuple(
        Check.unknown(item.environment, item.service, item.name, cause)
        if item.ok is False and (cause := _cause(item, found))
        else item
        for item in found
    )


def _cause(check: Check, checks: tuple[Check, ...]) -> str | None:
    """Name the first red check that this one depends on."""
    red = {item.name for item in checks if item.ok is False and item.service in {None, check.service}}
    return next((name for name in row_of(check.name).needs if name in red), None)


def _as_if_it_ran(service: ServiceState) -> ServiceState:
    """Return the service as it would be if it ran: that it does not is reported by a check of its own."""
    return service.model_copy(update={"status": "ACTIVE", "desired": max(1, service.desired)})


def _running(history: ReleaseHistory) -> ReleaseHistory:
    return history.model_copy(update={"service": _as_if_it_ran(history.service)})


def _is_the_first(history: ReleaseHistory, others: tuple[Release, ...]) -> bool:
    known = (*history.releases.values(), *others)
    return all(item.task_definition == history.current.task_definition for item in known)


def _unknown(target: Target, name: str, cause: str) -> Check:
    return Check.unknown(target.environment, target.service, name, cause)


def _check(target: Target, name: str, *, ok: bool | None, detail: str, fix: str | None = None) -> Check:
    return Check(
        environment=target.environment, service=target.service, name=name, ok=ok, detail=detail, fix=fix
    )


def judge_plan(target: Target, procedure: str, report: Report) -> Check:
    """Whether a procedure that was asked for now would know what to do.

    A rollback must find what to put back. What the others plan depends on what they find, and that a healthy service needs
    nothing, or that a person is asked, is an answer too.
    """
    plan = report.plan
    if report.outcome is Outcome.PLANNED and plan:
        asks = f"; it would need a person's approval: {plan.needs_yes}" if plan.needs_yes else ""
        return _check(target, _name(procedure), ok=True, detail=f"{plan.headline}{asks}")
    problem = report.error or Problem(kind="error", message=report.summary)
    detail = f"{report.outcome}: {problem.message}"
    if _name(procedure) != ROLLBACK_PLAN.name and report.outcome not in {Outcome.REFUSED, Outcome.FAILED}:
        return _check(target, _name(procedure), ok=True, detail=detail)
    failed = any(step.state == "failed" for step in report.steps)
    if _name(procedure) != ROLLBACK_PLAN.name and problem.kind == "policy" and not failed:
        return _check(target, _name(procedure), ok=None, detail=detail)  # it is not for what is there now
    return no_plan(target, procedure, detail, problem.fix)


def with_time(plan: Check, checks: Iterable[Check]) -> Check:
    """Say next to a rollback that was planned how long one takes, and what is in its way, where deployments shift traffic."""
    if plan.name != ROLLBACK_PLAN.name or not plan.ok:
        return plan
    ours = tuple(check for check in checks if check.service == plan.service)
    takes = next((check.rollback for check in ours if check.rollback), None)
    if takes is None:
        return plan
    wrong = (check.detail for check in ours if check.name == "traffic-shift" and check.ok is False)
    said = (plan.detail, takes.summary, *(f"in the way: {detail}" for detail in wrong))
    return plan.model_copy(update={"detail": "; ".join(said), "rollback": takes})


def no_plan(target: Target, procedure: str, why: str, fix: str | None) -> Check:
    """Say that no plan was made."""
    again = PLAN.fix.format(procedure=procedure, target=target.key)
    return _check(target, _name(procedure), ok=False, detail=why, fix=fix or again)


def unplanned(target: Target, procedure: str, checks: Iterable[Check]) -> Check | None:
    """Say why no plan is even asked for: the target has nothing that the procedure could change."""
    if procedure == "database-issues" and target.database is None:
        return _check(target, _name(procedure), ok=None, detail=f"no database in {target.table}")
    if _name(procedure) != ROLLBACK_PLAN.name:
        return None
    if target.platform != "ecs":
        return _check(target, _name(procedure), ok=None, detail=NOT_ON_ECS)
    good = next(
        (check for check in checks if check.service == target.service and check.name == "last-known-good"),
        None,
    )
    return _check(target, _name(procedure), ok=None, detail=good.detail) if good and good.ok is None else None


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
