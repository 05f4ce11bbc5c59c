"""Deployments that shift traffic between two revisions: how they are set, how far one is, and what that allows. Pure.

Stages are never compared by their order: AWS adds some, and one that is not known here counts as on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from runbook_model.fact import Fact
from runbook_model.text.durations import format_duration

SHIFTING = frozenset({"BLUE_GREEN", "LINEAR", "CANARY"})
"""Strategies that shift traffic from one revision to the other."""
CLEAN_UP = "CLEAN_UP"
"""The stage that ends the old revision: from here on a stop is no quick way back."""
_SHIFTED = frozenset({"POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", CLEAN_UP})
"""Stages in which all production traffic is on the new revision."""
_EACH_STEP = frozenset({"PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"})
"""Stages that come once for every step."""
_ON_THE_WAY_BACK = frozenset({"PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT"})
"""Stages whose hooks a rollback by ECS runs again."""
_NETWORK_BALANCER = timedelta(minutes=20)
"""What a Network Load Balancer adds: ten minutes for test traffic, and ten for production traffic."""
ALL = 100.0


class Hook(Fact):
    """A lifecycle hook: a Lambda function, or a pause that somebody has to end."""

    kind: str
    """AWS_LAMBDA or PAUSE."""
    stages: tuple[str, ...]
    minutes: int
    """How long it may take at one stage."""
    at_timeout: str
    """ROLLBACK or CONTINUE."""


class Shifting(Fact):
    """How a service's deployments shift its traffic."""

    strategy: str
    """BLUE_GREEN, LINEAR or CANARY."""
    percent: float = ALL
    """Of each step of LINEAR, and of the first of CANARY."""
    step_minutes: int = 0
    """The wait after each step but the last."""
    bake_minutes: int = 0
    """The time with all traffic on the new revision, while the old one still runs."""
    hooks: tuple[Hook, ...] = ()
    alarms: tuple[str, ...] = ()
    """CloudWatch alarms that end a deployment."""
    rules: tuple[str, ...] = ()
    """ARNs of the rules, or listeners, that hold the weights of production traffic."""

    @property
    def steps(self) -> int:
        """How many times traffic is shifted."""
        if self.strategy == "CANARY":
            return 1 if self.percent >= ALL else 2
        if self.strategy == "LINEAR":
            return max(1, -int(-ALL // self.percent))
        return 1

    @property
    def waits(self) -> timedelta:
        """How long its own waits take: steps, bake time, and what a Network Load Balancer adds."""
        waits = timedelta(minutes=(self.steps - 1) * self.step_minutes + self.bake_minutes)
        return waits + _NETWORK_BALANCER if self._network else waits

    @property
    def hooks_take(self) -> timedelta:
        """How long hooks may take besides; those of one stage run at the same time."""
        stages = {stage for hook in self.hooks for stage in hook.stages}
        return sum((self._hooks_at(stage) * self._times(stage) for stage in stages), timedelta(0))

    @property
    def called_take(self) -> timedelta:
        """How long its Lambda hooks alone may take."""
        called = tuple(hook for hook in self.hooks if hook.kind != "PAUSE")
        return self.model_copy(update={"hooks": called}).hooks_take

    @property
    def hooks_on_the_way_back(self) -> timedelta:
        """How long hooks may hold up a rollback that ECS makes."""
        stages = {stage for hook in self.hooks for stage in hook.stages} & _ON_THE_WAY_BACK
        return sum((self._hooks_at(stage) for stage in stages), timedelta(0))

    @property
    def longest(self) -> timedelta:
        """The longest that a deployment may take, except for the time that its tasks need to start."""
        return self.waits + self.hooks_take

    @property
    def pauses(self) -> tuple[str, ...]:
        """Stages at which a deployment waits until somebody continues it."""
        stages = (stage for hook in self.hooks if hook.kind == "PAUSE" for stage in hook.stages)
        return tuple(dict.fromkeys(stages))

    @property
    def called(self) -> tuple[str, ...]:
        """Stages at which Lambda functions are asked."""
        stages = (stage for hook in self.hooks if hook.kind != "PAUSE" for stage in hook.stages)
        return tuple(dict.fromkeys(stages))

    @property
    def way(self) -> str:
        """Say how traffic gets to a new release: ``CANARY: 10 %, 5 min later all of it, then 5 min of bake time``."""
        return f"{self.strategy}: {self._way}, then {self.bake_minutes} min of bake time"

    @property
    def _way(self) -> str:
        if self.steps == 1:
            return "all traffic at once"
        wait = f"{self.step_minutes} min"
        if self.strategy == "CANARY":
            return f"{self.percent:g} % of the traffic, {wait} later all of it"
        return f"{self.percent:g} % of the traffic at a time, {wait} apart, in {self.steps} steps"

    def sentences(self, *, continued: bool = False) -> Iterator[str]:
        """Say what a new deployment does and how long it may take, a sentence each.

        Args:
            continued: whether the run answers its pause hooks.
        """
        yield f"{self.way}."
        if self.called:
            yield f"Lambda hooks are asked at {', '.join(self.called)}."
        if self.pauses and continued:
            yield f"It pauses at {', '.join(self.pauses)}, and this run continues it each time, by the same yes."
        elif self.pauses:
            yield (
                f"It pauses at {', '.join(self.pauses)} until somebody continues it "
                "(aws ecs continue-service-deployment); this run does not."
            )
        if self.alarms:
            yield f"Alarms that end it: {', '.join(self.alarms)}; one that fires already when it begins is ignored by ECS."
        hooks = self.called_take if continued else self.hooks_take
        parts = [f"{format_duration(self.waits)} of waits"] if self.waits else []
        if hooks or (self.hooks and not continued):
            parts.append(f"up to {format_duration(hooks)} of hooks")
        yield f"At the longest it takes {', '.join([*parts, 'and ' * bool(parts) + 'the time that tasks need to start'])}."

    def _hooks_at(self, stage: str) -> timedelta:
        return timedelta(minutes=max(hook.minutes for hook in self.hooks if stage in hook.stages))

    def _times(self, stage: str) -> int:
        return self.steps if stage in _EACH_STEP else 1

    @property
    def _network(self) -> bool:
        return any(":listener/net/" in rule or ":listener-rule/net/" in rule for rule in self.rules)


class Share(Fact):
    """What a revision has of a deployment: tasks, and the traffic that ECS wants it to get."""

    revision: str
    """ARN of the service revision."""
    wanted: int = 0
    running: int = 0
    production: float | None = None
    """Percent of production traffic that was requested; None where ECS shifts none."""
    test: float | None = None


class WaitingHook(Fact):
    """A pause hook that waits for somebody."""

    id: str
    expires_at: datetime | None = None
    at_timeout: str = "ROLLBACK"


class Moment(StrEnum):
    """Where a deployment is."""

    PENDING = "pending"
    SCALING_UP = "scaling-up"
    TEST_TRAFFIC = "test-traffic"
    SHIFTING = "shifting"
    """Traffic is being shifted, or waits between two steps."""
    PAUSED = "paused"
    BAKING = "baking"
    CLEANING_UP = "cleaning-up"
    ON_THE_WAY = "on-the-way"
    """At a stage that is not known here."""
    ROLLING_BACK = "rolling-back"
    FINISHED = "finished"
    ENDED = "ended"
    """In another way than by success."""


_MOMENTS = {
    "RECONCILE_SERVICE": Moment.SCALING_UP,
    "PRE_SCALE_UP": Moment.SCALING_UP,
    "SCALE_UP": Moment.SCALING_UP,
    "POST_SCALE_UP": Moment.SCALING_UP,
    "TEST_TRAFFIC_SHIFT": Moment.TEST_TRAFFIC,
    "POST_TEST_TRAFFIC_SHIFT": Moment.TEST_TRAFFIC,
    "PRE_PRODUCTION_TRAFFIC_SHIFT": Moment.SHIFTING,
    "PRODUCTION_TRAFFIC_SHIFT": Moment.SHIFTING,
    "POST_PRODUCTION_TRAFFIC_SHIFT": Moment.BAKING,
    "BAKE_TIME": Moment.BAKING,
    CLEAN_UP: Moment.CLEANING_UP,
}
_SAID = {
    Moment.PENDING: "it has not started yet",
    Moment.SCALING_UP: "its tasks start",
    Moment.TEST_TRAFFIC: "it gets test traffic",
    Moment.SHIFTING: "traffic is being shifted",
    Moment.PAUSED: "it waits at a pause hook",
    Moment.BAKING: "it has all traffic and bakes",
    Moment.CLEANING_UP: "the old release is being ended",
    Moment.ON_THE_WAY: "it is at a stage that is not known here",
    Moment.ROLLING_BACK: "ECS rolls it back",
    Moment.FINISHED: "it has finished",
    Moment.ENDED: "it has ended without success",
}


class Shift(Fact):
    """How far a deployment is that shifts traffic."""

    settings: Shifting
    """Its own: those of the service may have changed since."""
    stage: str | None = None
    target: Share
    sources: tuple[Share, ...] = ()
    paused: tuple[WaitingHook, ...] = ()

    def moment(self, status: str) -> Moment:
        """Return where a deployment of this status is."""
        match status:
            case "PENDING":
                return Moment.PENDING
            case "IN_PROGRESS":
                return self._under_way
            case "SUCCESSFUL":
                return Moment.FINISHED
            case "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED":
                return Moment.ENDED
        return Moment.ROLLING_BACK

    @property
    def _under_way(self) -> Moment:
        if self.stage == CLEAN_UP:
            return Moment.CLEANING_UP
        if self.paused:
            return Moment.PAUSED
        return Moment.PENDING if self.stage is None else _MOMENTS.get(self.stage, Moment.ON_THE_WAY)

    @property
    def arrived(self) -> bool:
        """Whether the new revision has all production traffic, as far as ECS says, and all of its tasks."""
        shifted = self.target.production in {None, ALL} and not any(
            share.production for share in self.sources
        )
        return self.stage in _SHIFTED and shifted and self.target.running >= self.target.wanted

    @property
    def returned(self) -> bool:
        """Whether the old revisions have all production traffic; where ECS shifts none this is not known."""
        before = [share.production for share in self.sources if share.production is not None]
        return self.target.production == 0.0 and bool(before) and sum(before) >= ALL

    def has_traffic(self, status: str) -> bool:
        """Whether users may have met the new revision; where ECS shifts no traffic they may from its first task on."""
        early = {Moment.PENDING, Moment.SCALING_UP, Moment.TEST_TRAFFIC}
        if self.target.production is None:
            return self.target.running > 0
        return self.target.production > 0 and self.moment(status) not in early

    def summary(self, status: str) -> str:
        """Say where it is, with the shares of traffic that were requested."""
        words = _SAID[self.moment(status)]
        if self.paused:
            words = f"{words} ({', '.join(_paused(hook) for hook in self.paused)})"
        if self.target.production is None:
            return words
        return f"{words}; {self.target.production:g} % of production traffic is requested for it"


def _paused(hook: WaitingHook) -> str:
    if hook.expires_at is None:
        return hook.id
    return f"{hook.id}; at {hook.expires_at:%Y-%m-%d %H:%M} UTC: {hook.at_timeout}"
