"""A service whose deployments shift traffic, on the sandbox's own state machine and a clock of the test's own.

The product's own judgement runs on what that shows: weights, stages, hooks. Only time and tasks are simulated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from temporalio import activity

from activities.ecs.configuring import PutBack, PutSettingsBack
from activities.ecs.orders import Deployed, DeployRelease, StopDeployment
from activities.ecs.pausing import Continued, ContinueDeployment
from activities.ecs.shifting import read_shift, read_shifting
from activities.ecs.waits import AwaitedDrift
from runbook_model.catalog.target import Target
from runbook_model.errors import DriftedError, EndedError
from runbook_model.measured.revisions import RevisionsQuery, RevisionsRead
from runbook_model.releases.arriving import judge_shift
from runbook_model.releases.configuring import QuickSettings, fingerprint, read_settings
from runbook_model.releases.history import OwnRollback, ServiceDeployment
from runbook_model.releases.release import Release, ServiceState
from runbook_model.releases.rollout import Awaited, Phase, Rollout
from runbook_model.releases.shifting import Moment
from sandbox.ecs.strategies.plan import plan_of
from sandbox.ecs.strategies.shift import Clock, Seen, Shift
from tests.procedures.stage.outside import Outside, release
from tests.symptoms import revisions_read

TICK = 10
"""Seconds between two looks at the machine."""
STAGE = 30
"""Seconds that every stage takes, at least."""
TASKS = 2
LONGEST = 20_000
"""Looks after which a moment is not to come any more."""
STRATEGIES = {
    "BLUE_GREEN": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 15},
    "LINEAR": {
        "strategy": "LINEAR",
        "bakeTimeInMinutes": 15,
        "linearConfiguration": {"stepPercent": 25.0, "stepBakeTimeInMinutes": 6},
    },
    "CANARY": {
        "strategy": "CANARY",
        "bakeTimeInMinutes": 15,
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 10},
    },
}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}
RULE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/shop/1/2/3"
BALANCERS = [{"advancedConfiguration": {"productionListenerRule": RULE}}]


@dataclass
class ShiftingOutside(Outside):
    """One service; ``configuration`` is its deployment configuration."""

    configuration: dict[str, object] = field(default_factory=lambda: STRATEGIES["BLUE_GREEN"])
    started_with: dict[str, object] = field(default_factory=dict)
    """The configuration that the newest deployment started with."""
    machine: Shift | None = None
    now: float = 0.0
    keys: count[int] = field(default_factory=count)
    alarm_in_the_bake: bool = False
    """Whether an alarm takes the next deployment back once it bakes."""
    firing: frozenset[str] = frozenset()
    moves_on: str | None = None
    """The moment that the deployment gets to just before it is stopped."""
    answer: str | None = None
    """CONTINUE or ROLLBACK: what a person answers to a pause hook that a message named; None for nothing."""
    shares: tuple[float | None, float | None] = (None, None)
    """Shares of requests that fail on the release that is coming and on the old one; None where nothing is known."""

    def deploys(self, what: Release) -> None:
        """Somebody deploys this: it is under way."""
        if self.machine is not None and not self.machine.ended:
            raise AssertionError("it was deployed over a deployment that is under way")
        self.deployed(what, status="PENDING")
        clock = Clock(minute_seconds=60, stage_seconds=STAGE)
        self.started_with = self.configuration
        self.machine = Shift(plan_of(self.configuration), clock, lambda: f"{next(self.keys):043d}")
        self._show(self.machine)

    def advance(self) -> None:
        """Let some seconds go by."""
        assert self.machine is not None
        wanted = self.machine.wanted
        if self.alarm_in_the_bake and self.machine.stage == "BAKE_TIME":
            self.firing = frozenset({"errors"})
        self.machine.advance(
            Seen(
                now=self.now,
                green_good=wanted.green,
                blue_good=wanted.blue,
                green_gone=not wanted.green,
                blue_gone=not wanted.blue,
                others_gone=True,
                firing=self.firing,
            )
        )
        self.now += TICK
        self._show(self.machine)

    def until(self, holds) -> None:
        """Let time go by until something holds of the newest deployment."""
        for _ in range(LONGEST):
            if holds(self.history[0]):
                return
            self.advance()
        raise AssertionError(f"never: {self.history[0]}")

    def at(self, moment: str) -> None:
        """Let time go by until the newest deployment is at a moment."""
        self.until(lambda latest: latest.shift is not None and latest.shift.moment(latest.status) == moment)

    def _show(self, machine: Shift) -> None:
        """Show the newest deployment as ECS would."""
        latest = self.history[0]
        share, wanted = machine.wanted.production, machine.wanted
        asked = {
            "status": machine.status,
            "deploymentConfiguration": self.started_with,
            "lifecycleStage": machine.stage,
            "targetServiceRevision": {
                "arn": latest.revision,
                "requestedTaskCount": TASKS if wanted.green else 0,
                "runningTaskCount": TASKS if wanted.green else 0,
                "requestedProductionTrafficWeight": share,
                "requestedTestTrafficWeight": wanted.test,
            },
            "sourceServiceRevisions": [
                {"arn": arn, "requestedProductionTrafficWeight": 100.0 - share} for arn in latest.sources
            ],
            "lifecycleHookDetails": [{"hookId": hook.id, "status": hook.status} for hook in machine.hooks],
        }
        changes: dict[str, object] = {"status": machine.status, "shift": read_shift(asked)}
        if machine.going_back:
            reason, back = machine.rollback_reason or "", latest.sources[0]
            changes["rollback"] = OwnRollback(reason=reason, revision=back)
        if machine.ended:
            changes["finished_at"] = latest.created_at + timedelta(minutes=1)
        self.history[0] = latest.model_copy(update=changes)

    @property
    def service(self) -> ServiceState:
        """The service as it is, with two revisions while a deployment is under way."""
        latest = self.history[0]
        runs = (latest.revision,) if latest.status == "SUCCESSFUL" else (latest.revision, *latest.sources)
        if latest.status == "ROLLBACK_SUCCESSFUL":
            runs = latest.sources
        shifting = read_shifting(self.configuration, BALANCERS)
        changes = {
            "shifting": shifting,
            "strategy": self.configuration["strategy"],
            "service_revisions": runs,
        }
        return super().service.model_copy(update=changes | self.more)

    def _deployed(self, *, adopted: bool = False) -> Deployed:
        replaced = self.history[1].arn
        return super()._deployed(adopted=adopted).model_copy(update={"replaces": replaced})

    @activity.defn
    async def deploy_release(self, change: DeployRelease) -> Deployed:
        await self._called("deploy_release")
        if activity.info().attempt > 1 and change.fence != self.service.fence:
            return self._deployed(adopted=True)
        self._fenced(change.fence)
        if change.settings:
            self._configured({change.settings.was, change.settings.quick})
            self.configuration = change.settings.without_waits(self.configuration)
        self.deploys(change.release)
        self._changed("deploy_release", f"deploy {change.release.revision}")
        return self._deployed()

    @activity.defn
    async def stop_deployment(self, change: StopDeployment) -> Deployed:
        await self._called("stop_deployment")
        if self.moves_on:
            moment, self.moves_on = self.moves_on, None
            self.at(moment)
        latest = self.history[0]
        if latest.arn != change.service_deployment:
            error = DriftedError("somebody else changed the service")
            error.certainly_not_made = True
            raise error.to_application_error()
        if latest.shift and latest.shift.moment(latest.status) in {Moment.CLEANING_UP, Moment.FINISHED}:
            ended = EndedError("the deployment was not stopped")
            ended.certainly_not_made = True
            raise ended.to_application_error()
        assert self.machine is not None
        if latest.under_way:
            self.machine.stop()
            self.history[0] = latest.model_copy(update={"status": self.machine.status})
            self._changed("stop_deployment", "stop")
        return self._deployed(adopted=not latest.under_way)

    @activity.defn
    async def read_revisions(self, asked: RevisionsQuery) -> RevisionsRead:
        await self._called("read_revisions")
        names = (asked.pair.coming.release, asked.pair.old.release)
        return revisions_read(*self.shares, names=names, has_traffic=asked.pair.has_traffic)

    @property
    def activities(self) -> list[object]:
        more = (
            self.read_revisions,
            self.read_quick_settings,
            self.put_settings_back,
            self.continue_deployment,
        )
        return [*super().activities, *more]

    @activity.defn
    async def await_steady_state(self, awaited: Awaited) -> Rollout:
        await self._called("await_steady_state")
        until = self.now + (awaited.deadline - activity.info().scheduled_time).total_seconds()
        while True:
            own: ServiceDeployment = self.history[0]
            if own.arn != awaited.service_deployment:
                own = next(item for item in self.history if item.arn == awaited.service_deployment)
            seen = judge_shift(awaited, self.service, own)
            await self._let_people_answer(awaited)
            if seen.phase is not Phase.PROGRESSING:
                return seen
            if self.now > until + seen.takes.total_seconds():
                return seen.model_copy(update={"phase": Phase.STUCK})
            self.advance()

    def _configured(self, expected: set[str]) -> None:
        if fingerprint(self.configuration) not in expected:
            error = DriftedError("somebody else changed the service's deployment configuration")
            error.certainly_not_made = activity.info().attempt == 1
            raise error.to_application_error()

    @activity.defn
    async def read_quick_settings(self, _target: Target) -> QuickSettings:
        await self._called("read_quick_settings")
        return read_settings(self.configuration)

    @activity.defn
    async def put_settings_back(self, change: PutSettingsBack) -> PutBack:
        await self._called("put_settings_back")
        if fingerprint(self.configuration) == change.settings.was:
            return PutBack(changed=activity.info().attempt > 1, detail="as it was before")
        self._configured({change.settings.quick})
        self.configuration = change.settings.put_back(self.configuration)
        self._changed("put_settings_back", "settings")
        return PutBack(changed=True, detail=change.settings.words(quick=False))

    @activity.defn
    async def continue_deployment(self, change: ContinueDeployment) -> Continued:
        await self._called("continue_deployment")
        latest = self.history[0]
        if latest.arn != change.service_deployment or latest.release.revision != change.brings.revision:
            raise AssertionError("a deployment of somebody else was to be continued")
        assert self.machine is not None
        if not self.machine.answer(change.hook, "CONTINUE"):
            return Continued(detail="it waits no longer")
        self._show(self.machine)
        self._changed("continue_deployment", "continue")
        return Continued(detail="continued")

    async def _let_people_answer(self, awaited: Awaited) -> None:
        """Let a person answer a pause hook, once a message has named it."""
        assert self.machine is not None
        waiting = {hook.id for hook in self.machine.hooks if hook.status == "AWAITING_ACTION"}
        for hook in waiting & set(awaited.announced or ()) if self.answer else ():
            while not any(hook in notice.text for notice in self.notices):
                activity.heartbeat()
                await asyncio.sleep(0.01)
            self.machine.answer(hook, self.answer)

    @activity.defn
    async def await_drift(self, awaited: AwaitedDrift) -> ServiceState:
        if self.history[0].cleaning_up:
            return self.service
        return await super().await_drift(awaited)


def shifting(strategy: str, *hooks: dict[str, object], **more: object) -> ShiftingOutside:
    """A service on release 2 that ran on release 1 before; what is deployed next is release 3."""
    configuration = {**STRATEGIES[strategy], "lifecycleHooks": list(hooks), **more}
    return ShiftingOutside(configuration=configuration)


def in_flight(outside: ShiftingOutside, moment: str) -> None:
    """Somebody deploys release 3, and it gets to a moment; while traffic is shifted some has arrived."""
    outside.deploys(release(3))
    outside.at(moment)
    if moment == "shifting":
        outside.until(lambda latest: latest.shift.target.production > 0)
