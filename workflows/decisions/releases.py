"""Which release to go back to, and how. Pure: history in, a plan or an ending out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from activities.models import Fence, Release
from workflows.messages import Ending, Outcome, Plan, PlannedCall, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from activities.catalog import Target
    from activities.models import ReleaseHistory, ServiceState

OURS_TO_ROLL = {"controller": "ECS", "strategy": "ROLLING", "scheduling": "REPLICA"}
STAYS = "Data, database migrations and settings outside the task definition stay as they are."


class RollbackPlan(Plan):
    """How a release is put back."""

    before: Release
    after: Release
    fence: Fence
    way: Literal["deploy", "register", "stop", "force"]
    """``register``: register again, pinned by digest, then deploy. ``stop``: ECS rolls the deployment under way back."""
    stops: str | None = None
    """ARN of the service deployment to stop."""


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
    if why := cannot_roll(history.service):
        return refused("policy", why)
    if target.rollback.strategy == "terraform":
        return refused("policy", 'rollback by Terraform is not built yet: use strategy = "task-definition"')
    if to is not None:
        return _plan_to(target, history, others, to)
    if target.rollback.strategy == "force-new-deployment":
        return _plan(
            target, history, history.current, "force", ("the catalog's strategy is force-new-deployment",)
        )
    return (None if tried else _plan_stop(target, history)) or _plan_last_good(target, history, others, tried)


def needs_more(target: Target, history: ReleaseHistory, to: str | None, tried: tuple[str, ...] = ()) -> bool:
    """Whether the service's own history does not settle what to put back, so that other revisions must be read."""
    if to is not None:
        return find_release(history.releases.values(), to) is None
    return isinstance(plan_rollback(target, history, (), None, tried), Ending) and not _rolled_back_by_ecs(
        history
    )


def cannot_roll(service: ServiceState) -> str | None:
    """Say why a service has no rolling deployment that could be made or undone."""
    if service.status != "ACTIVE":
        return f"the service is {service.status}: there is nothing to roll back"
    for field, wanted in OURS_TO_ROLL.items():
        if (found := getattr(service, field)) != wanted:
            return (
                f"its {field} is {found}: only {wanted} is supported; use the tool that deploys this service"
            )
    if service.desired == 0:
        return "its desired count is 0: nothing runs; scale it out first"
    return None


def refused(kind: Literal["input", "policy"], why: str) -> Ending:
    """End without having tried."""
    return Ending(outcome=Outcome.REFUSED, summary=f"Refused: {why}.", error=Problem(kind=kind, message=why))


def find_release(releases: Iterable[Release], name: str) -> Release | None:
    """Find the newest release that a person may have meant by revision, ARN, image tag or digest."""
    found = [release for release in releases if _is_named(release, name)]
    return max(found, key=lambda release: int(release.revision.rpartition(":")[2]), default=None)


def _is_named(release: Release, name: str) -> bool:
    revision = release.revision
    if name in {release.task_definition, revision, revision.rpartition(":")[2]}:
        return True
    digest = name.removeprefix("sha256:")
    return any(
        image.tag in {name, name.removeprefix("v"), f"v{name}"}
        or (len(digest) >= 7 and (image.digest or "").startswith(f"sha256:{digest}"))
        for image in release.images
    )


def _plan_stop(target: Target, history: ReleaseHistory) -> RollbackPlan | Ending | None:
    """Undo a deployment that is under way, if what ECS would put back is not marked bad."""
    latest = history.latest
    if _rolled_back_by_ecs(history) and not history.current.is_bad and latest:
        return Ending(
            outcome=Outcome.NOT_NEEDED,
            summary=f"ECS rolled {latest.release.name} back by itself; {history.current.name} runs already.",
        )
    if latest is None or not latest.under_way or len(latest.sources) != 1:
        return None
    landing = history.releases.get(latest.sources[0])
    if landing is None or landing.is_bad or landing.same_as(latest.release):
        return None
    why = (f"{latest.release.name} is still being deployed; {landing.name} ran before it",)
    return _plan(target, history, landing, "stop", why)


def _plan_last_good(
    target: Target, history: ReleaseHistory, others: tuple[Release, ...], tried: tuple[str, ...]
) -> RollbackPlan | Ending:
    current = history.current
    for release, why in _soaked(history, target.rollback.soak):
        if not (release.same_as(current) or release.is_bad or release.task_definition in tried):
            return _plan(target, history, release, _way(release, current), (why,), _going_further(current))
    for release, why in _unproven(history, others):
        if not (release.task_definition in {current.task_definition, *tried} or release.is_bad):
            unproven = f"it is not known to be good: {why}"
            return _plan(target, history, release, _way(release, current), (why,), unproven)
    return refused(
        "policy", f"there is no release before {current.name} that is not marked bad; name one with --to"
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
            minutes = lived.total_seconds() / 60
            yield (
                release,
                f"{release.name} is the newest release before the current one; it ran for {minutes:.0f} min",
            )


def _unproven(history: ReleaseHistory, others: tuple[Release, ...]) -> Iterator[tuple[Release, str]]:
    by_arn = {release.task_definition: release for release in (*others, *history.releases.values())}
    for deployment in history.service.deployments:
        if deployment.status != "PRIMARY" and deployment.task_definition in by_arn:
            yield by_arn[deployment.task_definition], "it still has a deployment in the service"
    newest = int(history.current.revision.rpartition(":")[2])
    for release in others:
        if int(release.revision.rpartition(":")[2]) < newest:
            yield (
                release,
                f"{release.name} is an earlier revision of the family; whether it ever ran well is unknown",
            )


def _plan_to(
    target: Target, history: ReleaseHistory, others: tuple[Release, ...], to: str
) -> RollbackPlan | Ending:
    wanted = find_release((*history.releases.values(), *others), to)
    if wanted is None:
        known = dict.fromkeys(release.name for release in (*history.releases.values(), *others))
        return refused("input", f'no release "{to}" of {target.key}; there are: {", ".join(known) or "none"}')
    if wanted.is_bad and wanted.judged:
        return refused(
            "policy",
            f"{wanted.name} is marked bad by {wanted.judged.source}; if that is wrong: "
            f"runbook release mark {target.key} {wanted.revision} good --reason …",
        )
    latest = history.latest
    if latest and latest.under_way and history.releases.get(next(iter(latest.sources), "")) == wanted:
        return _plan_stop(target, history) or refused("policy", "the deployment under way cannot be stopped")
    if wanted.same_as(history.current):
        return Ending(outcome=Outcome.NOT_NEEDED, summary=f"{wanted.name} runs already.")
    ran = {
        history.releases[d.landed].task_definition
        for d in history.deployments
        if d.landed in history.releases
    }
    unproven = (
        None
        if wanted.task_definition in ran
        else f"{wanted.name} never completed a deployment of this service"
    )
    return _plan(target, history, wanted, _way(wanted, history.current), (f'"{to}" was asked for',), unproven)


def _rolled_back_by_ecs(history: ReleaseHistory) -> bool:
    latest = history.latest
    return bool(
        latest and latest.status == "ROLLBACK_SUCCESSFUL" and latest.arn == history.service.service_deployment
    )


def _way(release: Release, current: Release) -> Literal["deploy", "register"]:
    # The same task definition with other digests means that its tag was moved: only a pinned copy brings them back.
    moved = release.task_definition == current.task_definition
    return "register" if moved or not release.active else "deploy"


def _going_further(current: Release) -> str | None:
    if current.is_verified and current.judged:
        return (
            f"what runs, {current.name}, was itself verified good at {current.judged.at:%Y-%m-%d %H:%M} UTC"
        )
    return None


def _plan(
    target: Target,
    history: ReleaseHistory,
    release: Release,
    way: Literal["deploy", "register", "stop", "force"],
    because: tuple[str, ...],
    needs_yes: str | None = None,
) -> RollbackPlan:
    stops = history.latest.arn if way == "stop" and history.latest else None
    not_restored = [STAYS, "The number of tasks is not changed."]
    if target.terraform:
        not_restored.append(
            f"Terraform in {target.terraform.directory} still names the release that is taken back."
        )
    return RollbackPlan(
        headline=_headline(target, history.current, release, way),
        calls=_calls(target, release, way, stops),
        before=history.current,
        after=release,
        because=because,
        not_restored=tuple(not_restored),
        afterwards=(f"Once verified, {release.revision} is tagged good and {history.current.revision} bad.",),
        needs_yes=needs_yes or _unpinned(release, way),
        fence=history.service.fence,
        way=way,
        stops=stops,
    )


def _unpinned(release: Release, way: str) -> str | None:
    if way == "register" and not release.digests:
        return f"{release.name} is deregistered and its image digest is not known: its tag may have moved"
    return None


def _headline(target: Target, current: Release, release: Release, way: str) -> str:
    if way == "force":
        return f"Start fresh tasks of {current.name} for {target.service} in {target.environment}"
    return f"Put {target.service} in {target.environment} back from {current.name} to {release.name}"


def _calls(target: Target, release: Release, way: str, stops: str | None) -> tuple[PlannedCall, ...]:
    service = {"cluster": target.cluster, "service": target.ecs_service}
    if way == "stop":
        return (_call("StopServiceDeployment", serviceDeploymentArn=stops, stopType="ROLLBACK"),)
    if way == "force":
        return (_call("UpdateService", **service, forceNewDeployment=True),)
    if way == "deploy":
        return (_call("UpdateService", **service, taskDefinition=release.revision),)
    family = release.revision.partition(":")[0]
    pinned = {image.container: image.digest or image.name for image in release.images}
    return (
        _call("RegisterTaskDefinition", family=family, copyOf=release.revision, images=pinned),
        _call("UpdateService", **service, taskDefinition=f"{family}:<as registered>"),
    )


def _call(action: str, **parameters: object) -> PlannedCall:
    return PlannedCall(service="ecs", action=action, parameters=parameters)
