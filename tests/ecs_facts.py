"""Releases, service deployments and histories for the tests of what is decided about them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runbook_model.releases.history import OwnRollback, ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import Deployment, Image, Judgement, Mark, Release, ServiceState

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:us-east-1:123456789012"
HOUR = timedelta(hours=1)


def task_definition(revision: int) -> str:
    return f"{ARN}:task-definition/shop:{revision}"


def digest(seed: int) -> str:
    return f"sha256:{seed:064x}"


def a_release(revision: int, *, tag: str | None = None, seed: int | None = None, **more: object) -> Release:
    """Revision 7 holds ``shop:1.7.0`` with digest 7 unless set otherwise; seed 0 is a digest nobody knows."""
    seed = revision if seed is None else seed
    image = Image(
        container="app", name=f"shop:{tag or f'1.{revision}.0'}", digest=digest(seed) if seed else None
    )
    return Release(task_definition=task_definition(revision), images=(image,), **more)


def with_a_sidecar(release: Release, name: str = "fluent-bit:stable", seed: int = 99) -> Release:
    """The release with a log router in front of its app, as its task definition lists them."""
    sidecar = Image(container="log_router", name=name, digest=digest(seed))
    return release.model_copy(update={"images": (sidecar, *release.images), "container": "app"})


def a_mark(verdict: Judgement, seed: int, *, at: datetime = NOW) -> Mark:
    return Mark(verdict=verdict, digest=digest(seed), source="incident/prod/shop", at=at)


def bad(release: Release) -> Release:
    return _marked(release, Judgement.BAD)


def good(release: Release) -> Release:
    return _marked(release, Judgement.GOOD)


def _marked(release: Release, verdict: Judgement) -> Release:
    mark = Mark(verdict=verdict, digest=release.fingerprint, source="incident/prod/shop", at=NOW)
    return release.model_copy(update={"marks": (*release.marks, mark)})


def revision_arn(number: int) -> str:
    return f"{ARN}:service-revision/prod/shop/{number}"


def deployment_arn(number: int) -> str:
    return f"{ARN}:service-deployment/prod/shop/{number}"


def a_deployment(number: int, definition: str, **changes: object) -> Deployment:
    """A PRIMARY deployment of two tasks that is done."""
    deployment = Deployment(
        id=f"ecs-svc/{number}",
        status="PRIMARY",
        task_definition=definition,
        desired=2,
        running=2,
        pending=0,
        rollout_state="COMPLETED",
        created_at=NOW - HOUR,
    )
    return deployment.model_copy(update=changes)


def a_service(*deployments: Deployment, number: int = 2, **changes: object) -> ServiceState:
    """A service of two tasks, steady on the first of its deployments."""
    primary = deployments[0]
    service = ServiceState(
        arn=f"{ARN}:service/prod/shop",
        status="ACTIVE",
        desired=2,
        running=2,
        pending=0,
        task_definition=primary.task_definition,
        deployments=deployments,
        service_deployment=deployment_arn(number),
        service_revisions=(revision_arn(number),),
        read_at=NOW,
    )
    return service.model_copy(update=changes)


def a_history(
    *lives: tuple[Release, timedelta], latest: str = "SUCCESSFUL", **service: object
) -> ReleaseHistory:
    """What ran, oldest first, each with how long it lived; the last is what runs, its deployment is ``latest``.

    A ``ROLLBACK_SUCCESSFUL`` last one went back to the one before it, which then is what runs.
    """
    began, made, releases = NOW - sum((lived for _, lived in lives), timedelta(0)), [], {}
    for number, (release, lived) in enumerate(lives, 1):
        releases[revision_arn(number)] = release
        made.append(
            ServiceDeployment(
                arn=deployment_arn(number),
                status="SUCCESSFUL",
                created_at=began,
                finished_at=began,
                sources=(revision_arn(number - 1),) if number > 1 else (),
                revision=revision_arn(number),
                release=release,
            )
        )
        began += lived
    count = len(lives)
    current = lives[-1][0]
    ended: dict[str, object] = {"status": latest}
    if latest in {"PENDING", "IN_PROGRESS"}:
        ended["finished_at"] = None
    if latest == "ROLLBACK_SUCCESSFUL":
        ended["rollback"] = OwnRollback(reason="circuit breaker", revision=revision_arn(count - 1))
        current = lives[-2][0]
    made[-1] = made[-1].model_copy(update=ended)
    primary = a_deployment(count, current.task_definition)
    return ReleaseHistory(
        service=a_service(primary, number=count).model_copy(update=service),
        current=current,
        deployments=tuple(reversed(made)),
        releases=releases,
    )
