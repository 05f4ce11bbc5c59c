"""The stage that a story is played on: a sandbox of its own, a worker that can be killed, and people who act."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.error import URLError

from temporalio.client import Client

from activities.runtime.processes import start_child, stop_child
from runbook_model.messages import Abort, Approval, Instruction, ProcedureRequest, RollbackRequest
from runbook_model.names.ids import hold_id, incident_id, remediation_id
from starter.client.deciding import Decided, decide
from starter.client.run_view import RunView, look
from starter.client.runs import Run, describe
from starter.client.starting import begin
from starter.client.targets import waiting_at
from starter.demo.outside import AwsCall, ErrorRate, aws_calls, is_healthy, measure, set_load
from starter.demo.story_log import StoryBrokenError, StoryLog
from starter.processes.world import World

PROMETHEUS: Final = "prometheus"

ALERTMANAGER: Final = "alertmanager"

POSTGRESQL: Final = "postgresql"

TERRAFORM: Final = "terraform"

FIXES = {
    PROMETHEUS: "apt-get install prometheus",
    ALERTMANAGER: "apt-get install prometheus-alertmanager",
    POSTGRESQL: "apt-get install postgresql",
    TERRAFORM: "install Terraform or OpenTofu, and put `terraform` or `tofu` on PATH",
}


def missing(needs: tuple[str, ...]) -> list[str]:
    """Name the programs of these that are not on this machine."""
    there = _programs() if needs else {}
    return [name for name in needs if not there.get(name)]


def fix_for(names: list[str]) -> str:
    """Say how to get programs."""
    return "; ".join(f"{name} is not on this machine: {FIXES[name]}" for name in names)


def terraform_program() -> str | None:
    """Return the program that stands for Terraform, the first on PATH."""
    return shutil.which("terraform") or shutil.which("tofu")


def _programs() -> dict[str, str | None]:
    """Ask the sandbox what it would find: it knows where to look."""
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "sandbox", "programs"], capture_output=True, check=True
    )
    found: dict[str, str | None] = json.loads(asked.stdout)
    return found | {TERRAFORM: terraform_program()}


T = TypeVar("T")

SERVICE = "ai-processor"

ENVIRONMENT = "prod"

INCIDENT = incident_id(ENVIRONMENT, SERVICE)

REMEDIATION = remediation_id(ENVIRONMENT, SERVICE)

HOLD = hold_id(ENVIRONMENT, SERVICE)

SANDBOX = (sys.executable, "-P", "-m", "sandbox")

LOOK_SECONDS = 0.25

DEPLOY_SECONDS = 90.0


class Stage:
    """What a story does to its world, and sees of it."""

    def __init__(
        self, world: World, client: Client, story_log: StoryLog, environment: str = ENVIRONMENT
    ) -> None:
        self.world = world
        self.environment = environment
        self.client = client
        self.story_log = story_log
        self.run: Run | None = None
        self.asked_at = datetime.now(UTC)
        self._shown_steps: set[int] = set()

    # --- people and machines act ----------------------------------------------------------------------------------

    async def deploy(self, version: str, memory: int = 512, **settings: str) -> bool:
        """Release a version as the company's delivery pipeline does; whether ECS calls it successful."""
        words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        where = f"--environment={self.environment}"
        argv = [*SANDBOX, "deploy", where, "--version", version, f"--memory={memory}"]
        return await self.succeeds("the deployment ends", [*argv, *words, "--wait"])

    async def succeeds(self, what: str, argv: Sequence[str], directory: Path | None = None) -> bool:
        """Run a program of somebody's in this world to its end; whether it succeeds."""
        child = self._start(argv, directory)
        try:
            await self.until(what, lambda: _ended(child), DEPLOY_SECONDS)
        finally:
            stop_child(child, 1.0)
        return child.returncode == 0

    @contextmanager
    def session(self, application: str, statement: str) -> Iterator[None]:
        """Have somebody start a transaction in the database by hand, and leave it at that."""
        where = f"--environment={self.environment}"
        argv = [*SANDBOX, "session", where, "--application", application, statement]
        child = self._start(argv)
        try:
            yield
        finally:
            stop_child(child, 1.0)

    async def load(self, requests_per_second: float) -> None:
        """Have clients send so many requests from now on."""
        await asyncio.to_thread(set_load, self.world.addresses, self.environment, requests_per_second)

    async def start(self, procedure: str, by: str, reason: str) -> Run:
        """Have a person start a procedure; from now on it is the run that the story is about."""
        kind = RollbackRequest if procedure == "rollback" else ProcedureRequest
        request = kind(service=SERVICE, environment=self.environment, requested_by=by, reason=reason)
        self.asked_at = datetime.now(UTC)
        run_id = await begin(self.client, procedure, request)
        self.run = await describe(self.client, remediation_id(self.environment, SERVICE), run_id)
        assert self.run is not None
        return self.run

    async def approve(self, by: str, plan_hash: str) -> Decided:
        """Have a person approve a plan.

        Raises:
            CliError: the run refuses.
        """
        waiting = await waiting_at(self.client, f"{self.environment}/{SERVICE}", None)
        return await decide(self.client, waiting, "decide", "approve", Approval(by=by, plan_hash=plan_hash))

    async def acknowledge(self, by: str) -> Decided:
        """Have a person say that they have the incident."""
        assert self.run is not None
        return await decide(self.client, self.run, "acknowledge", "acknowledge", Instruction(by=by))

    async def end_hold(self, by: str, reason: str) -> RunView:
        """Have a person end the hold on temporary capacity before its time, and wait until it has ended."""
        hold = await describe(self.client, HOLD)
        assert hold is not None
        await decide(self.client, hold, "abort_run", "abort", Abort(by=by, reason=reason))

        async def ended() -> RunView | None:
            seen = await look(self.client, await describe(self.client, HOLD, hold.run_id) or hold)
            return None if seen.run.is_open else seen

        return await self.until("the hold ends", ended, 30)

    # --- what is seen -----------------------------------------------------------------------------------------------

    async def see(self) -> RunView:
        """Look at the run now."""
        assert self.run is not None
        return await look(self.client, await describe(self.client, self.run.id, self.run.run_id) or self.run)

    async def appears(self, workflow_id: str, seconds: float) -> Run:
        """Wait for a run that nobody here starts; from then on it is the run that the story is about.

        Raises:
            StoryBrokenError: there is none in time.
        """
        self.run = await self.until(
            f"{workflow_id} starts", lambda: describe(self.client, workflow_id), seconds
        )
        return self.run

    async def until_seen(self, what: str, wanted: Callable[[RunView], bool], seconds: float) -> RunView:
        """Look at the run until something is so, telling every step that ends meanwhile.

        Raises:
            StoryBrokenError: the run ended otherwise, or the time ran out.
        """

        async def try_read() -> RunView | None:
            view = await self.see()
            self._print_steps(view)
            if wanted(view):
                return view
            if not view.run.is_open:
                raise StoryBrokenError(f"{what}: but it ended: {view.report.summary}")
            return None

        return await self.until(what, try_read, seconds)

    async def until(self, what: str, question: Callable[[], Awaitable[T | None]], seconds: float) -> T:
        """Ask until there is an answer.

        Raises:
            StoryBrokenError: there is none in time.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.world.check()
                    if (answer := await question()) is not None:
                        return answer
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise StoryBrokenError(f"{what}: not within {seconds:.0f} s") from None

    async def has_hold(self) -> bool:
        """Whether temporary capacity is held now."""
        hold = await describe(self.client, HOLD)
        return hold is not None and hold.is_open

    async def healthy(self) -> bool:
        """Whether the service is healthy, as its users reach it."""
        return await asyncio.to_thread(is_healthy, self.world.addresses, SERVICE, self.environment)

    async def error_rate(self, what: str, wanted: Callable[[ErrorRate], bool], seconds: float) -> ErrorRate:
        """Measure until the error rate is as wanted, and return the last one measured in any case."""
        return await self.measured(what, measure, wanted, seconds)

    async def measured(
        self,
        what: str,
        measuring: Callable[[Mapping[str, Any], str, str], T | None],
        wanted: Callable[[T], bool],
        seconds: float,
    ) -> T:
        """Measure until it is as wanted, and return the last measurement in any case.

        Raises:
            StoryBrokenError: nothing could be measured in time.
        """
        last: T | None = None

        async def ask() -> T | None:
            nonlocal last
            try:
                found = await asyncio.to_thread(measuring, self.world.addresses, SERVICE, self.environment)
            except URLError:  # Prometheus starts or restarts; the next question may be answered
                return None
            last = last if found is None else found
            return last if last is not None and wanted(last) else None

        try:
            return await self.until(what, ask, seconds)
        except StoryBrokenError:
            if last is None:
                raise
            return last

    async def calls(self) -> list[AwsCall]:
        """Read the AWS calls that were made since the procedure was asked for."""
        return await asyncio.to_thread(aws_calls, self.world.addresses["aws"], self.asked_at)

    def _start(self, argv: Sequence[str], directory: Path | None = None) -> subprocess.Popen[bytes]:
        return start_child(
            argv,
            environment=self.world.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            directory=directory,
        )

    def _print_steps(self, view: RunView) -> None:
        for place, step in enumerate(view.report.steps):
            if step.state != "running" and place not in self._shown_steps:
                self._shown_steps.add(place)
                self.story_log.say(f"{step.heading}: {step.step} ({step.state})", "dim")


async def _ended(child: subprocess.Popen[bytes]) -> int | None:
    return child.poll()
