"""Lifecycle hooks while they run: what they wait for, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.ecs.strategies.plan import Hook

CALL_BACK_SECONDS = 30.0
"""When a Lambda function that said IN_PROGRESS is asked again."""
WAITING = frozenset({"AWAITING_ACTION", "IN_PROGRESS"})


@dataclass(frozen=True)
class Asked:
    """What a Lambda function was asked, as far as it differs from one time to the next."""

    stage: str
    test: float
    """Percent of test traffic that the new revision is to have after the stage."""
    production: float
    answer: str


@dataclass
class HookRun:
    """One hook at one stage."""

    id: str
    hook: Hook
    stage: str
    status: str
    expires_at: float
    ask_at: float

    @property
    def waits(self) -> bool:
        """Whether the deployment waits for it."""
        return self.status in WAITING

    def advance(self, now: float, ask: Callable[[str], str], again_seconds: float, *, patient: bool) -> None:
        """Ask the function when it is time, and end a hook whose time is over.

        Args:
            now: this moment.
            ask: what a Lambda function answers at a stage.
            again_seconds: when it is asked again.
            patient: ask again after FAILED too, as in a rollback.
        """
        if not self.waits:
            return
        if self.hook.kind == "AWS_LAMBDA" and now >= self.ask_at:
            answer = ask(self.stage)
            again = answer == "IN_PROGRESS" or (patient and answer == "FAILED")
            self.status = "IN_PROGRESS" if again else answer
            self.ask_at = now + again_seconds
        if self.waits and now >= self.expires_at:
            self.status = "TIMED_OUT"

    @property
    def failed(self) -> bool:
        """Whether it ended the deployment."""
        timed_out = self.status == "TIMED_OUT" and self.hook.at_timeout == "ROLLBACK"
        return self.status == "FAILED" or timed_out

    @property
    def reason(self) -> str:
        """Why the deployment is rolled back."""
        if self.status == "TIMED_OUT" and self.hook.kind == "PAUSE":
            return f"Service deployment rolled back because {self.stage} pause hook timed out."
        detail = "The hook timed out." if self.status == "TIMED_OUT" else "The hook answered FAILED."
        if self.hook.kind == "PAUSE":
            detail = "ContinueServiceDeployment was called with ROLLBACK."
        return f"Service deployment rolled back because {self.stage} lifecycle hook(s) failed. {detail}"


def start(hook: Hook, stage: str, key: str, now: float, minute_seconds: float) -> HookRun:
    """Start a hook; ``key`` makes its id."""
    pause = hook.kind == "PAUSE"
    return HookRun(
        id=f"ecs-{'pause' if pause else 'lambda'}-{key}",
        hook=hook,
        stage=stage,
        status="AWAITING_ACTION" if pause else "IN_PROGRESS",
        expires_at=now + hook.minutes * minute_seconds,
        ask_at=now,
    )
