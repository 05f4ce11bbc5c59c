"""A small outside world for procedures: one ECS service with its history, measured as the test says.

It keeps the rules that matter to a procedure: an update makes a new PRIMARY deployment, the fence is compared before a
change, tags are kept. Everything slow or random is left out.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.authority.signers import Signers
from activities.authority.verify import judge
from activities.ecs.activities import Explanation, ReleaseQuery, Releases
from activities.ecs.orders import (
    Deployed,
    DeployRelease,
    ForceDeployment,
    MarkRelease,
    RegisterRelease,
    StopDeployment,
)
from activities.ecs.waits import AwaitedDrift
from activities.runtime.decisions import GateActivities
from activities.runtime.fence import may_send
from activities.temporal.predecessor import Predecessor, RunName
from runbook_model.authority.statement import Judged, Presented
from runbook_model.catalog.incident_policy import TargetNames
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.service_policies import RollbackPolicy, Thresholds, Verify
from runbook_model.catalog.target import Target
from runbook_model.errors import DriftedError, Rejected, RunbookError, UnreachableError
from runbook_model.incident.announcements import Notice
from runbook_model.measured.readings import Observation, Observed, Quality, Reading, Sample
from runbook_model.releases.history import OwnRollback, ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import (
    UNDER_WAY,
    Deployment,
    Fence,
    Image,
    Judgement,
    Mark,
    Release,
    ServiceState,
)
from runbook_model.releases.rollout import Awaited, Phase, Rollout

ARN = "arn:aws:ecs:us-east-1:123456789012"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS = timedelta(seconds=30)
"""How often it is looked whether the service drifted while people decide."""


def release(revision: int, version: str | None = None, **more: object) -> Release:
    """A release of the family ``shop``; its version is ``1.<revision>.0`` unless set."""
    version = version or f"1.{revision}.0"
    image = Image(container="app", name=f"shop:{version}", digest=f"sha256:{revision:064x}")
    return Release(task_definition=f"{ARN}:task-definition/shop:{revision}", images=(image,), **more)


MOVED = release(2).model_copy(
    update={"images": (Image(container="app", name="shop:1.2.0", digest=f"sha256:{5:064x}"),)}
)
"""What fresh tasks of ``release(2)`` run once its tag was moved."""
MOVED_TAG = (
    f" The tag was moved: fresh tasks of shop:1.2.0 run sha256:{5:064x}, before it was sha256:{2:064x}."
)


def judged(revision: int, verdict: str = "bad") -> Release:
    """A release that carries a mark in the ledger."""
    mark = Mark(
        verdict=Judgement(verdict), digest=f"sha256:{revision:064x}", source="remediation/old", at=STARTED
    )
    return release(revision, marks=(mark,))


def reading(quality: Quality, *, at: datetime, kind: str = "error-rate") -> Reading:
    """A reading of a given quality."""
    value = {Quality.GOOD: 0.0, Quality.BAD: 0.3}.get(quality)
    return Reading(
        kind=kind, quality=quality, value=value, limit=0.1, detail=f"{quality}", source="test", at=at
    )


@dataclass
class Outside:
    """One service; the test turns its knobs before or while a procedure runs."""

    approvals: Approvals = field(default_factory=lambda: Approvals(needed=0))
    signers: Signers = field(default_factory=lambda: Signers("signers", ()))
    strategy: str = "task-definition"
    history: list[ServiceDeployment] = field(default_factory=list)
    quality: Quality = Quality.GOOD
    phase: Phase = Phase.STEADY
    fails: dict[str, list[RunbookError]] = field(default_factory=dict)
    """Activity -> what its next attempts fail with, before they do anything."""
    loses_reply: set[str] = field(default_factory=set)
    """Activities whose next answer is lost after the change was made."""
    calls: list[str] = field(default_factory=list)
    """Activities, an entry for each attempt."""
    changes: list[str] = field(default_factory=list)
    """What was really changed, in the order in which it was."""
    family: tuple[Release, ...] = ()
    """Other ACTIVE revisions than those that the history names."""
    marks: list[tuple[str, str]] = field(default_factory=list)
    marked: list[Release] = field(default_factory=list)
    release_now: dict[str, asyncio.Event] = field(default_factory=dict)
    desired: int = 2
    more: dict[str, object] = field(default_factory=dict)
    """Whatever else the service is, such as ``controller``."""
    primary: int = 0
    """Number of the PRIMARY deployment; every one that starts has the next."""
    observations: list[Observation] = field(default_factory=list)
    predecessor: Predecessor = field(default_factory=Predecessor)
    asked_after: list[RunName] = field(default_factory=list)
    """The runs whose predecessor was asked after."""
    notices: list[Notice] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    """Of the catalog."""
    fresh: Release | None = None
    """What fresh tasks run, where that is not what ran: its tag was moved."""

    def __post_init__(self) -> None:
        self.deployed(release(1))
        self.deployed(release(2))

    def deployed(
        self, what: Release, *, status: str = "SUCCESSFUL", lived: timedelta = timedelta(hours=2)
    ) -> None:
        """Somebody deployed this; it is what runs now."""
        number = len(self.history) + 1
        self.primary += 1
        created = (self.history[0].created_at + lived) if self.history else STARTED
        before = (self.history[0].revision,) if self.history else ()
        self.history.insert(
            0,
            ServiceDeployment(
                arn=f"{ARN}:service-deployment/prod/shop/{number}",
                status=status,
                created_at=created,
                finished_at=created + timedelta(minutes=1) if status == "SUCCESSFUL" else None,
                sources=before,
                revision=f"{ARN}:service-revision/prod/shop/{number}",
                release=what,
            ),
        )

    def rolled_back_by_ecs(self) -> None:
        """ECS put back what ran before the newest deployment."""
        latest = self.history[0]
        self.primary += 1
        self.history[0] = latest.model_copy(
            update={
                "status": "ROLLBACK_SUCCESSFUL",
                "finished_at": latest.created_at + timedelta(minutes=5),
                "rollback": OwnRollback(reason="circuit breaker", revision=latest.sources[0]),
            }
        )

    @property
    def current(self) -> Release:
        """What runs."""
        latest = self.history[0]
        landed = latest.rollback.revision if latest.rollback else latest.revision
        return next(item.release for item in self.history if item.revision == landed)

    def holds(self, name: str) -> asyncio.Event:
        """Make an activity wait until the event is set."""
        return self.release_now.setdefault(name, asyncio.Event())

    @property
    def target(self) -> Target:
        """The target as the catalog would resolve it."""
        return Target(
            service="shop",
            environment="prod",
            platform="ecs",
            region="us-east-1",
            cluster="prod",
            ecs_service="shop",
            url="http://shop",
            log_group=None,
            prometheus_url=None,
            release_label=None,
            thresholds=Thresholds(),
            verify=Verify(bake=timedelta(seconds=10), rate_window=timedelta(seconds=10)),
            rollback=RollbackPolicy(soak=timedelta(0), strategy=self.strategy),
            approvals=self.approvals,
            links=self.links,
        )

    @property
    def service(self) -> ServiceState:
        """The service as it is."""
        latest, runs = self.history[0], self.current.task_definition
        state = ServiceState(
            arn=f"{ARN}:service/prod/shop",
            status="ACTIVE",
            desired=self.desired,
            running=self.desired,
            pending=0,
            task_definition=runs,
            deployments=(
                Deployment(
                    id=f"ecs-svc/{self.primary}",
                    status="PRIMARY",
                    task_definition=runs,
                    desired=self.desired,
                    running=self.desired,
                    pending=0,
                    rollout_state="COMPLETED",
                    created_at=latest.created_at,
                ),
            ),
            service_deployment=latest.arn,
            service_revisions=(latest.revision,),
            read_at=latest.created_at + timedelta(minutes=30),
        )
        return state.model_copy(update=self.more)

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        beats = activity.info().heartbeat_timeout is not None
        while name in self.release_now and not self.release_now[name].is_set():
            if beats:
                activity.heartbeat()
            await asyncio.sleep(0.01)
        if self.fails.get(name):
            raise self.fails[name].pop(0).to_application_error()

    def _fenced(self, fence: Fence) -> None:
        may_send()
        if fence != self.service.fence:
            error = DriftedError("somebody else changed the service")
            error.certainly_not_made = activity.info().attempt == 1
            raise error.to_application_error()

    def _changed(self, name: str, what: str) -> None:
        self.changes.append(what)
        if name in self.loses_reply:
            self.loses_reply.remove(name)
            raise UnreachableError("no answer in time").to_application_error()

    # --- the activities, under the names that the product's have -------------------------------------------------

    @activity.defn
    async def resolve_target(self, _names: TargetNames) -> Target:
        await self._called("resolve_target")
        return self.target

    @activity.defn
    async def read_predecessor(self, run: RunName) -> Predecessor:
        await self._called("read_predecessor")
        self.asked_after.append(run)
        return self.predecessor

    @activity.defn
    async def notify(self, notice: Notice) -> None:
        await self._called("notify")
        self.notices.append(notice)

    @activity.defn
    async def read_service(self, _target: Target) -> ServiceState:
        await self._called("read_service")
        return self.service

    @activity.defn
    async def read_history(self, _target: Target) -> ReleaseHistory:
        await self._called("read_history")
        releases = {item.revision: item.release for item in self.history}
        return ReleaseHistory(
            service=self.service,
            current=self.current,
            deployments=tuple(self.history),
            releases=releases,
        )

    @activity.defn
    async def list_revisions(self, _target: Target) -> Releases:
        await self._called("list_revisions")
        return Releases(releases=self.family)

    @activity.defn
    async def find_release(self, _query: ReleaseQuery) -> Releases:
        await self._called("find_release")
        return Releases(releases=())

    @activity.defn
    async def explain_rollout(self, _target: Target) -> Explanation:
        await self._called("explain_rollout")
        return Explanation(stopped=("Essential container in task exited",), events=())

    @activity.defn
    async def measure(self, observation: Observation) -> Sample:
        await self._called("measure")
        return Sample(at=observation.since, readings=(reading(self.quality, at=observation.since),))

    @activity.defn
    async def observe(self, observation: Observation) -> Observed:
        await self._called("observe")
        self.observations.append(observation)
        moments = [observation.since + timedelta(seconds=2 * n) for n in range(11)]
        samples = tuple(Sample(at=at, readings=(reading(self.quality, at=at),)) for at in moments)
        return Observed(samples=samples, since=moments[0], until=moments[-1])

    @activity.defn
    async def deploy_release(self, change: DeployRelease) -> Deployed:
        await self._called("deploy_release")
        ours = self.service.task_definition == change.release.task_definition
        if activity.info().attempt > 1 and ours and change.fence != self.service.fence:
            return self._deployed(adopted=True)
        self._fenced(change.fence)
        self.deployed(change.release)
        self._changed("deploy_release", f"deploy {change.release.revision}")
        return self._deployed()

    @activity.defn
    async def force_deployment(self, change: ForceDeployment) -> Deployed:
        await self._called("force_deployment")
        self._fenced(change.fence)
        self.deployed(self.fresh or self.current)
        self._changed("force_deployment", "force")
        return self._deployed()

    @activity.defn
    async def stop_deployment(self, change: StopDeployment) -> Deployed:
        await self._called("stop_deployment")
        self._fenced(change.fence)
        self.rolled_back_by_ecs()
        self._changed("stop_deployment", "stop")
        return self._deployed()

    @activity.defn
    async def register_release(self, change: RegisterRelease) -> Release:
        await self._called("register_release")
        self._changed("register_release", f"register {change.release.revision}")
        arn = f"{ARN}:task-definition/shop:99"
        return change.release.model_copy(update={"task_definition": arn, "active": True})

    @activity.defn
    async def mark_release(self, change: MarkRelease) -> None:
        await self._called("mark_release")
        self.marks.append((change.release.revision, change.mark.verdict))
        self.marked.append(change.release)

    @activity.defn
    async def await_steady_state(self, awaited: Awaited) -> Rollout:
        await self._called("await_steady_state")
        rolls_back = awaited.kind == "rollback" and self.history[0].status == "ROLLBACK_IN_PROGRESS"
        if rolls_back and self.phase is Phase.STEADY:
            self.rolled_back_by_ecs()
        return Rollout(phase=self.phase, detail=f"{self.phase}", service=self.service, at=awaited.deadline)

    @activity.defn
    async def await_drift(self, awaited: AwaitedDrift) -> ServiceState:
        await self._called("await_drift")
        ended = awaited.under_way is not None and self.history[0].status not in UNDER_WAY
        if self.service.fence == awaited.fence and not ended:
            # Between two looks no activity is under way, so that the test server can skip the time.
            raise ApplicationError(
                "as it was", next_retry_delay=LOOKS, category=ApplicationErrorCategory.BENIGN
            )
        return self.service

    @activity.defn
    async def verify_decision(self, presented: Presented) -> Judged:
        if not self.approvals.signed:
            return Judged()
        try:
            return Judged(signed_by=judge(presented, self.approvals, self.signers, datetime.now(UTC)))
        except Rejected as error:
            raise error.to_application_error() from None

    def _deployed(self, *, adopted: bool = False) -> Deployed:
        now = self.service
        return Deployed(
            deployment=now.primary.id if now.primary else "",
            task_definition=now.task_definition,
            service_deployment=now.service_deployment,
            adopted=adopted,
            at=datetime.now(UTC),
        )

    @property
    def activities(self) -> list[object]:
        """All of them, for a worker."""
        names = [
            name for name, thing in vars(Outside).items() if hasattr(thing, "__temporal_activity_definition")
        ]
        return [*(getattr(self, name) for name in names), GateActivities().show_gate]
