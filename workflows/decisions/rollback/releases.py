"""Which release to go back to, from the deployment history, and at last from git tags. Pure: facts in, a plan or an ending out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from runbook_model.catalog.target import Target
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Release, ServiceState
from runbook_model.reports import Ending, Outcome, Problem
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import sentence
from workflows.decisions.rollback.plan import (
    RollbackPlan,
    find_release,
    listed,
    may_be_a_revision,
    nearest_release,
    plan_by,
    revision_number,
    rolling_plan,
    which_container,
)
from workflows.decisions.rollback.shifting import left_alone, not_offered, stopping, updating

JUST_NOW = timedelta(hours=1)

OURS_TO_ROLL = {"controller": "ECS", "strategy": "ROLLING", "scheduling": "REPLICA"}


def plan_rollback(
    target: Target,
    history: ReleaseHistory,
    others: tuple[Release, ...],
    to: str | None,
    tried: tuple[str, ...] = (),
) -> RollbackPlan | Ending:
    """Decide what to put back.

    Args:
        target: the service in its environment.
        history: what runs and what ran before.
        others: ACTIVE revisions of the family, and what ``to`` names; read only when the history does not settle it.
        to: the release that a person asked for.
        tried: ARNs of task definitions that this run found wanting: it goes further back than these.
    """
    if problem := cannot_roll_back(history.service):
        return refuse(problem)
    plan = _choose_shifting(target, history, others, to, tried) or _choose(target, history, others, to, tried)
    if isinstance(plan, Ending):
        return plan
    unclear = which_container(target, plan.before) or which_container(target, plan.after)
    return refuse(unclear) if unclear else plan


def _choose_shifting(
    target: Target,
    history: ReleaseHistory,
    others: tuple[Release, ...],
    to: str | None,
    tried: tuple[str, ...],
) -> RollbackPlan | Ending | None:
    """Decide for a service whose deployments shift traffic; None for any other."""
    latest = history.latest
    if history.service.shifting is None and not (latest and latest.under_way and latest.shift):
        return None
    if problem := not_offered(target, history):
        return refuse(problem)
    if latest is None or not latest.under_way:
        chosen = _choose(target, history, others, to, tried)
        return chosen if isinstance(chosen, Ending) else updating(history, chosen)
    # What is under way is stopped or left alone: a deployment over it would take longer than either, hooks and all.
    stop = None if tried else _plan_stop(target, history)
    wanted = find_release(_known(history), to) if to else None
    landing = stop.after if isinstance(stop, RollbackPlan) else None
    if isinstance(stop, RollbackPlan) and (to is None or wanted == landing):
        return stopping(history, stop)
    return refuse(left_alone(history, latest, landing, to))


def _choose(
    target: Target,
    history: ReleaseHistory,
    others: tuple[Release, ...],
    to: str | None,
    tried: tuple[str, ...],
) -> RollbackPlan | Ending:
    if to is not None:
        return _plan_to(target, history, others, to)
    if target.rollback.strategy == "force-new-deployment":
        return plan_by(
            "force", target, history, history.current, "the catalog's strategy is force-new-deployment"
        )
    return (None if tried else _plan_stop(target, history)) or _plan_last_good(target, history, others, tried)


def needs_more(target: Target, history: ReleaseHistory, to: str | None, tried: tuple[str, ...] = ()) -> bool:
    """Whether the service's own history does not settle what to put back, so that other revisions must be read."""
    if to is not None:
        # A number may be a revision that the service no longer reports about, and an image tag too.
        return may_be_a_revision(to) or find_release(_known(history), to) is None
    plan = plan_rollback(target, history, (), None, tried)
    return isinstance(plan, Ending) and plan.outcome is Outcome.REFUSED


def cannot_roll(service: ServiceState) -> Problem | None:
    """Say why a service has no rolling deployment that could be made or undone."""
    if service.status != "ACTIVE":
        return Problem(
            kind="policy", message=f"the service is {service.status}: there is nothing to roll back"
        )
    for field, wanted in OURS_TO_ROLL.items():
        if (found := getattr(service, field)) != wanted:
            return Problem(
                kind="policy",
                message=f"its {field} is {found}: only {wanted} is supported",
                fix="use the tool that deploys this service",
            )
    if service.desired == 0:
        return Problem(
            kind="policy", message="its desired count is 0: nothing runs", fix="scale it out first"
        )
    return None


def cannot_roll_back(service: ServiceState) -> Problem | None:
    """Say why no release of a service can be put back; those whose deployments shift traffic go back in ways of their own."""
    if service.shifting is None or service.strategy != service.shifting.strategy:
        return cannot_roll(service)
    return cannot_roll(service.model_copy(update={"strategy": OURS_TO_ROLL["strategy"]}))


def refused(kind: Literal["input", "policy"], message: str, fix: str | None = None) -> Ending:
    """End without having tried."""
    return refuse(Problem(kind=kind, message=message, fix=fix))


def refuse(problem: Problem) -> Ending:
    """End for this reason, without having tried."""
    return Ending(outcome=Outcome.REFUSED, summary=f"Refused: {sentence(problem.line)}", error=problem)


def _plan_stop(target: Target, history: ReleaseHistory) -> RollbackPlan | Ending | None:
    """Undo a deployment that is under way, if what ECS would put back is not marked bad."""
    latest = history.latest
    if _just_rolled_back_by_ecs(history) and not history.current.is_bad and latest:
        return Ending(
            outcome=Outcome.NOT_NEEDED,
            summary=f"ECS rolled {latest.release.name} back by itself; {history.current.name} runs already.",
        )
    if latest is None or not latest.under_way or len(latest.sources) != 1:
        return None
    if target.rollback.strategy == "terraform":
        return None  # its next apply would bring the release back: Terraform itself must take it back
    landing = history.releases.get(latest.sources[0])
    if landing is None or landing.is_bad or landing.same_as(latest.release):
        return None
    why = f"{latest.release.name} is still being deployed; {landing.name} ran before it"
    return plan_by("stop", target, history, landing, why)


def _plan_last_good(
    target: Target, history: ReleaseHistory, others: tuple[Release, ...], tried: tuple[str, ...]
) -> RollbackPlan | Ending:
    current = history.current
    for release, why in _soaked(history, target.rollback.soak):
        if not (release.same_as(current) or release.is_bad or release.task_definition in tried):
            return rolling_plan(target, history, release, why, _going_further(current))
    for release, why in _unproven(history, others):
        if not (release.task_definition in {current.task_definition, *tried} or release.is_bad):
            unproven = f"it is not known to be good: {why}"
            return rolling_plan(target, history, release, why, unproven)
    return refused(
        "policy", f"there is no release before {current.name} that is not marked bad", "name one with --to"
    )


def _soaked(history: ReleaseHistory, soak: timedelta) -> Iterator[tuple[Release, str]]:
    """Releases that ran long enough, newest first, each with the reason why it counts as good."""
    replaced: datetime = history.service.read_at
    for deployment in history.deployments:
        ended, replaced = replaced, deployment.created_at
        release = history.releases.get(deployment.landed or "")
        if (
            deployment.arn == history.service.service_deployment
            or release is None
            or not deployment.finished_at
        ):
            continue
        lived = ended - deployment.finished_at
        if release.is_verified and release.judged:
            yield release, f"{release.name} was verified at {release.judged.at:%Y-%m-%d %H:%M} UTC"
        elif lived >= soak:
            ran = format_duration(timedelta(seconds=round(lived.total_seconds())))
            yield release, f"{release.name} is the newest release before the current one; it ran for {ran}"


def _unproven(history: ReleaseHistory, others: tuple[Release, ...]) -> Iterator[tuple[Release, str]]:
    by_arn = {release.task_definition: release for release in (*others, *history.releases.values())}
    for deployment in history.service.deployments:
        if deployment.status != "PRIMARY" and deployment.task_definition in by_arn:
            yield by_arn[deployment.task_definition], "it still has a deployment in the service"
    for release in others:
        if revision_number(release) < revision_number(history.current):
            yield (
                release,
                f"{release.name} is an earlier revision of the family; whether it ever ran well is unknown",
            )


def _plan_to(
    target: Target, history: ReleaseHistory, others: tuple[Release, ...], to: str
) -> RollbackPlan | Ending:
    known = (*_known(history), *others)
    wanted = find_release(known, to)
    if wanted is None:
        return refused(
            "input", f'no release "{to}" of {target.key}{nearest_release(known, to)}', listed(known)
        )
    if isinstance(wanted, Problem):
        return refuse(wanted)
    if wanted.same_as(history.current):
        return Ending(outcome=Outcome.NOT_NEEDED, summary=f"{wanted.name} runs already.")
    if _family(wanted) != _family(history.current) and wanted not in _known(history):
        what = (
            f"{wanted.revision} is no release of {target.key}: it is of another family, and never ran there"
        )
        return refused("input", what, listed(item for item in known if item != wanted))
    if wanted.is_bad and wanted.judged:
        return refused(
            "policy",
            f"{wanted.name} is marked bad by {wanted.judged.source}",
            f"if that is wrong: runbook release mark {target.key} {wanted.revision} good --reason …",
        )
    stop = _plan_stop(target, history)
    if isinstance(stop, RollbackPlan) and stop.after == wanted:
        return stop
    return rolling_plan(target, history, wanted, f'"{to}" was asked for', _never_ran(wanted, history))


def _family(release: Release) -> str:
    return release.revision.partition(":")[0]


def _known(history: ReleaseHistory) -> tuple[Release, ...]:
    return (history.current, *history.releases.values())


def _never_ran(release: Release, history: ReleaseHistory) -> str | None:
    landed = (history.releases.get(deployment.landed or "") for deployment in history.deployments)
    if release.task_definition in {item.task_definition for item in landed if item}:
        return None
    return f"{release.name} never completed a deployment of this service"


def _just_rolled_back_by_ecs(history: ReleaseHistory) -> bool:
    """Whether what a person sees as bad was taken back already; long ago, it is what runs since that they mean."""
    latest = history.latest
    if (
        not latest
        or latest.status != "ROLLBACK_SUCCESSFUL"
        or latest.arn != history.service.service_deployment
    ):
        return False
    return latest.finished_at is None or history.service.read_at - latest.finished_at < JUST_NOW


def _going_further(current: Release) -> str | None:
    if current.is_verified and current.judged:
        return (
            f"what runs, {current.name}, was itself verified good at {current.judged.at:%Y-%m-%d %H:%M} UTC"
        )
    return None


def plannable(target: Target, history: ReleaseHistory) -> bool:
    """Whether nothing stands in the way of an update of the service."""
    if cannot_roll_back(history.service):
        return False
    if history.service.shifting is None:
        return True
    under_way = history.latest is not None and history.latest.under_way
    return not under_way and not_offered(target, history) is None
