"""A deployment that shifts traffic, as a state machine: stages, steps, hooks, bake time, alarms, and the way back.

It knows the new revision (green), the one that served before (blue) and any others that a stopped deployment left. It says
what should be; whoever runs it says what is (``Seen``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.ecs.strategies.hooks import CALL_BACK_SECONDS, Asked, HookRun, start
from sandbox.ecs.strategies.plan import Plan, because_of

ENDED = frozenset({"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"})
STAGE_MINUTES = 1440
"""How long a stage may wait for tasks."""
BY_USER = "Service deployment rolled back by user"


@dataclass(frozen=True)
class Clock:
    """How long things last."""

    minute_seconds: float = 60.0
    """A minute of the deployment configuration."""
    stage_seconds: float = 1.0
    """Every stage, at least."""


@dataclass(frozen=True)
class Seen:
    """What is the case at one moment."""

    now: float
    green_good: bool = True
    """Every task that green should have serves."""
    blue_good: bool = True
    green_gone: bool = True
    """No task of green is left."""
    blue_gone: bool = True
    others_gone: bool = True
    answers: Mapping[str, str] = field(default_factory=dict)
    """What Lambda functions answer, by stage; SUCCEEDED where nothing is said."""
    firing: frozenset[str] = frozenset()
    """Names of alarms in ALARM."""


@dataclass(frozen=True)
class Wanted:
    """What should be."""

    green: bool = False
    """Whether green should have tasks."""
    blue: bool = True
    others: bool = True
    test: float = 0.0
    """Percent of test traffic that green should get."""
    production: float = 0.0


@dataclass(frozen=True)
class Step:
    """A part of the way: first its hooks, then its change, then a wait."""

    stage: str
    change: Mapping[str, Any] = field(default_factory=dict)
    hooks: str | None = None
    """The stage whose hooks run, where it is not the one that is shown."""
    minutes: float = 0.0
    until: Callable[[Seen], bool] = lambda _: True


class Shift:
    """One deployment from PENDING to its end."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        new_key: Callable[[], str],
        *,
        has_blue: bool = True,
        others: bool = False,
    ) -> None:
        """Prepare a deployment.

        Args:
            plan: what it will do.
            clock: how long things last.
            new_key: makes what hooks are known by.
            has_blue: whether something served before.
            others: whether more than one revision is there, which is put in order first.
        """
        self.plan = plan
        self.status = "PENDING"
        self.reason: str | None = None
        self.wanted = Wanted(blue=has_blue)
        self.hooks: list[HookRun] = []
        self.asked: list[Asked] = []
        self.triggered: list[str] = []
        self.rollback_reason: str | None = None
        self._has_blue = has_blue
        self._clock = clock
        self._new_key = new_key
        self._ignored: frozenset[str] = frozenset()
        self._steps = list(
            _way_there(plan if has_blue else replace(plan, shares=(100.0,), bake_minutes=0), others=others)
        )
        self._at = 0
        self._step_began: float | None = None
        self._changed_at: float | None = None
        self._running: list[HookRun] = []

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED

    @property
    def going_back(self) -> bool:
        """Whether it is on its way back."""
        return self.rollback_reason is not None

    @property
    def stage(self) -> str | None:
        """The stage that it is at; none before its start."""
        return self._steps[min(self._at, len(self._steps) - 1)].stage if self.status != "PENDING" else None

    def stop(self, *, abort: bool = False) -> None:
        """Ask it to go back, or to stop where it is; one that is on its way to either continues."""
        if self.status in {"PENDING", "IN_PROGRESS"}:
            self.status = "STOP_REQUESTED" if abort else "ROLLBACK_REQUESTED"
            self.reason = (
                "Service deployment stopped by a StopServiceDeployment request." if abort else BY_USER
            )

    def give_way(self) -> None:
        """Make way for a newer deployment."""
        if self.ended:
            return
        self.status = "ROLLBACK_FAILED" if self.status.startswith("ROLLBACK") else "STOP_REQUESTED"
        self.reason = "Service deployment stopped because a newer service deployment was started."

    def answer(self, hook_id: str, action: str) -> bool:
        """Answer a pause hook with CONTINUE or ROLLBACK; return whether it waits for an answer."""
        for run in self._running:
            if run.id == hook_id and run.status == "AWAITING_ACTION" and self.status == "IN_PROGRESS":
                run.status = "SUCCEEDED" if action == "CONTINUE" else "FAILED"
                return True
        return False

    def advance(self, seen: Seen) -> None:
        """Take it as far as it gets at this moment."""
        if self.ended:
            return
        if self.status == "PENDING":
            self.status = "IN_PROGRESS"
            self._ignored = seen.firing
        elif self.status == "STOP_REQUESTED":
            self.status = "STOPPED"
            return
        elif self.status == "ROLLBACK_REQUESTED":
            self._go_back(self.reason or BY_USER)
        self._watch_alarms(seen)
        while self.status in {"IN_PROGRESS", "ROLLBACK_IN_PROGRESS"} and self._finish_step(seen):
            self._at += 1
            self._step_began = None
            if self._at == len(self._steps):
                self.status = "ROLLBACK_SUCCESSFUL" if self.going_back else "SUCCESSFUL"

    def _watch_alarms(self, seen: Seen) -> None:
        firing = [name for name in self.plan.alarms if name in seen.firing - self._ignored]
        if not firing or self.status != "IN_PROGRESS" or self.stage == "CLEAN_UP":
            return
        self.triggered = firing
        what = because_of(firing)
        if self.plan.alarms_roll_back:
            self._go_back(f"Service deployment rolled back {what}")
        else:
            self.status = "STOP_REQUESTED"
            self.reason = f"Service deployment stopped {what}"

    def _finish_step(self, seen: Seen) -> bool:
        """Work on the present step; return whether it is done."""
        step = self._steps[self._at]
        if self._step_began is None:
            self._begin_step(step, seen.now)
        if not self._hooks_done(step, seen):
            return False
        if self._changed_at is None:
            self._changed_at = seen.now
            self.wanted = replace(self.wanted, **step.change)
            return False  # what is seen was seen before the change
        waited = seen.now - self._changed_at
        if waited > STAGE_MINUTES * self._clock.minute_seconds and not step.until(seen):
            self._fail(f"Service deployment rolled back because {step.stage} took longer than 24 hours.")
            return False
        shortest = max(self._clock.stage_seconds, step.minutes * self._clock.minute_seconds)
        return waited >= shortest and step.until(seen)

    def _begin_step(self, step: Step, now: float) -> None:
        self._step_began, self._changed_at = now, None
        stage = step.hooks or step.stage
        hooks = self.plan.hooks_at(stage)
        self._running = [
            start(hook, stage, self._new_key(), now, self._clock.minute_seconds) for hook in hooks
        ]
        self.hooks += self._running

    def _hooks_done(self, step: Step, seen: Seen) -> bool:
        after = replace(self.wanted, **step.change)

        def ask(stage: str) -> str:
            answer = seen.answers.get(stage, "SUCCEEDED")
            self.asked.append(Asked(stage, after.test, after.production, answer))
            return answer

        again = CALL_BACK_SECONDS / 60 * self._clock.minute_seconds
        for run in self._running:
            run.advance(seen.now, ask, again, patient=self.going_back)
        failed = next((run for run in self._running if run.failed), None)
        if failed is not None:
            self._fail(failed.reason)
        return failed is None and not any(run.waits for run in self._running)

    def _fail(self, reason: str) -> None:
        """Go back for a reason; what goes back already has failed."""
        if self.going_back:
            self.status = "ROLLBACK_FAILED"
            self.reason = reason.replace("rolled back", "rollback failed", 1)
        else:
            self._go_back(reason)

    def _go_back(self, reason: str) -> None:
        self.reason = reason
        if not self._has_blue:
            self.status = "ROLLBACK_FAILED"
            self.reason = (
                "Service deployment rollback failed: no completed service deployment to roll back to."
            )
            return
        self.status, self.rollback_reason = "ROLLBACK_IN_PROGRESS", reason
        for run in self._running:
            if run.waits:
                run.status = "FAILED"
        self._steps, self._at, self._step_began = list(_way_back(self.wanted)), 0, None


def _way_there(plan: Plan, *, others: bool) -> Iterator[Step]:
    if others:
        yield Step("RECONCILE_SERVICE", {"others": False}, until=lambda seen: seen.others_gone)
    yield Step("PRE_SCALE_UP")
    yield Step("SCALE_UP", {"green": True}, until=lambda seen: seen.green_good)
    yield Step("POST_SCALE_UP")
    yield Step("TEST_TRAFFIC_SHIFT", {"test": 100.0})
    yield Step("POST_TEST_TRAFFIC_SHIFT")
    for share in plan.shares:
        yield Step("PRODUCTION_TRAFFIC_SHIFT", hooks="PRE_PRODUCTION_TRAFFIC_SHIFT")
        minutes = plan.step_minutes if share < 100 else 0.0
        yield Step("PRODUCTION_TRAFFIC_SHIFT", {"production": share}, minutes=minutes)
    yield Step("POST_PRODUCTION_TRAFFIC_SHIFT")
    yield Step("BAKE_TIME", minutes=plan.bake_minutes)
    yield Step("CLEAN_UP", {"blue": False, "others": False}, until=lambda seen: seen.blue_gone)


def _way_back(wanted: Wanted) -> Iterator[Step]:
    if not wanted.blue:
        yield Step("CLEAN_UP", {"blue": True}, until=lambda seen: seen.blue_good)
    if wanted.production:
        yield Step("PRODUCTION_TRAFFIC_SHIFT", {"production": 0.0})
    if wanted.test:
        yield Step("TEST_TRAFFIC_SHIFT", {"test": 0.0})
    yield Step("CLEAN_UP", {"green": False, "others": False}, until=lambda seen: seen.green_gone)
