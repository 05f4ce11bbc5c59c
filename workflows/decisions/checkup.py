"""What facts say of whether everything is in place, and which check is only a consequence of another. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_model.catalog.catalog import Target
from runbook_model.checks import POLICY, ROWS, Check, row_of
from runbook_model.release import Release, ReleaseHistory, ServiceState
from runbook_model.reports import Problem
from workflows.decisions.rollback.plan import RollbackPlan
from workflows.decisions.rollback.releases import cannot_roll, needs_more, plan_rollback


def needs_revisions(target: Target, history: ReleaseHistory) -> bool:
    """Whether the last known good release is only found among other revisions of the family."""
    return cannot_roll(_as_if_it_ran(history.service)) is None and needs_more(
        target, _running(history), to=None
    )


def judge_controller(target: Target, service: ServiceState | None) -> Check:
    """Whether the service is deployed in a way that can be rolled back."""
    if target.platform != "ecs":
        return _check(target, "controller", ok=None, detail="it does not run on ECS")
    if service is None:
        return _unknown(target, "controller", "service")
    if problem := cannot_roll(_as_if_it_ran(service)):
        return _check(target, "controller", ok=False, detail=problem.message, fix=problem.fix)
    return _check(target, "controller", ok=True, detail="rolling deployments by ECS itself")


def judge_last_known_good(
    target: Target, history: ReleaseHistory | None, others: tuple[Release, ...]
) -> Check:
    """Whether there is a release to go back to, as a rollback would choose it now."""
    name = "last-known-good"
    if target.platform != "ecs":
        return _check(target, name, ok=None, detail="it does not run on ECS")
    if history is None:
        return _unknown(target, name, "deployments")
    if cannot_roll(_as_if_it_ran(history.service)):
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
