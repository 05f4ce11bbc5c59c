"""What may come in between while a deployment that shifts traffic is rolled back, and the clock by which traffic is back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from temporalio import activity

from activities.ecs.orders import Deployed, DeployRelease, StopDeployment
from runbook_model.measured.readings import Quality
from runbook_model.releases.rollout import Awaited, Rollout
from tests.procedures.stage.outside import release
from tests.procedures.stage.shifting_outside import PAUSE, STRATEGIES, ShiftingOutside, in_flight

MOMENTS = (
    "pending",
    "scaling-up",
    "test-traffic",
    "between-steps",
    "paused",
    "baking",
    "cleaning-up",
    "finished",
    "rolling-back",
)
COURSES = ("good", "bad", "aborted with undo", "worker killed", "somebody else deploys")
"""What users see afterwards is good, or still bad; or something comes in between."""
BAD = release(3)
UNFINISHED = {"PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}


@dataclass
class WatchedOutside(ShiftingOutside):
    """Writes down how much traffic the bad release has, and lets something come in between at the worst moment."""

    course: str = "good"
    traffic: list[tuple[float, float]] = field(default_factory=list)
    """Moments by its own clock, and percent of production traffic on the bad release from then on."""
    dies: bool = False
    """Whether the worker dies with the next change, or next wait where none comes: it is made, and nobody hears of it."""
    died: asyncio.Event = field(default_factory=asyncio.Event)
    somebody_deploys: bool = False
    """Whether somebody else deploys just before the next change, or wait."""

    def begins(self) -> None:
        """The rollback begins: from now on traffic is watched."""
        self.traffic = [self.traffic[-1]]
        self.dies = self.course == "worker killed"
        self.somebody_deploys = self.course == "somebody else deploys"
        self.quality = Quality.BAD if self.course == "bad" else Quality.GOOD

    def goes_back(self) -> None:
        """ECS begins to roll the deployment back by itself, and has not shifted anything yet."""
        assert self.machine is not None
        self.machine.stop()
        self._show(self.machine)

    @property
    def is_held(self) -> bool:
        """Whether the step was reached at which an abort comes."""
        return any(name in self.calls and not event.is_set() for name, event in self.release_now.items())

    @property
    def back_after(self) -> str:
        """Say when the bad release had no traffic for the first time."""
        began, share = self.traffic[0]
        if not share:
            return "had none"
        back = next((at for at, left in self.traffic if not left), None)
        return "never" if back is None else _minutes(back - began)

    def _show(self, machine) -> None:
        super()._show(machine)
        brings_it = self.history[0].release == BAD
        share = machine.wanted.production
        if machine.status == "SUCCESSFUL":
            share = 100.0
        self.traffic.append((self.now, share if brings_it else 100.0 - share))

    @property
    def waits_only(self) -> bool:
        """Whether nothing will be changed, as ECS goes back by itself."""
        return self.history[0].status in {"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}

    async def _comes_in_between(self) -> None:
        """Somebody deploys over what there is."""
        if self.somebody_deploys:
            self.somebody_deploys = False
            if self.history[0].status in UNFINISHED:
                self.history[0] = self.history[0].model_copy(update={"status": "STOPPED"})
            self.machine = None
            traffic = self.traffic
            self.deploys(release(4))
            self.traffic = traffic[:1]  # where traffic goes then is theirs

    async def _die(self) -> None:
        if self.dies:
            self.dies = False
            self.died.set()
            await asyncio.Event().wait()

    @activity.defn
    async def deploy_release(self, change: DeployRelease) -> Deployed:
        await self._comes_in_between()
        made = await super().deploy_release(change)
        await self._die()
        return made

    @activity.defn
    async def stop_deployment(self, change: StopDeployment) -> Deployed:
        await self._comes_in_between()
        made = await super().stop_deployment(change)
        await self._die()
        return made

    @activity.defn
    async def await_steady_state(self, awaited: Awaited) -> Rollout:
        if self.waits_only and not self.changes:
            await self._comes_in_between()
            await self._die()
        return await super().await_steady_state(awaited)


def watched(strategy: str, moment: str, course: str) -> WatchedOutside:
    """A service of this strategy, whose bad release is at this moment."""
    hooks = [PAUSE] if moment == "paused" else []
    outside = WatchedOutside(configuration={**STRATEGIES[strategy], "lifecycleHooks": hooks}, course=course)
    match moment:
        case "between-steps":
            in_flight(outside, "shifting")
        case "rolling-back":
            in_flight(outside, "shifting")
            outside.goes_back()
        case _:
            in_flight(outside, moment)
    outside.begins()
    return outside


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
