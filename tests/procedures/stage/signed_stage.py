"""An environment whose decisions are signed: the real guards in front of a small outside world."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.worker import Worker

from activities.authority.warrants import Standing, Warrants
from activities.catalog.activities import CatalogActivities
from activities.registry import FENCED, activities_of
from activities.runtime.change_guard import TAKES_BACK, GuardChanges
from activities.runtime.decisions import DecisionActivities
from activities.runtime.interceptors import TranslateErrors
from activities.temporal.holds import ScaleOutHistory, ScaleOutRuns
from activities.temporal.locks import LockActivities
from activities.temporal.predecessor import CHANGES, ChangeHistory
from runbook_model.authority.standing import parse_standing
from runbook_model.messages import RollbackRequest
from runbook_model.names import ids
from runbook_model.names.procedures import workflow_type
from runbook_model.reports import Report
from runbook_model.sizes import ScaledOut
from tests.checker import wrong_of
from tests.patience import PATIENCE
from tests.procedures.stage.sick import Sick
from tests.procedures.stage.signed_desk import Desk
from worker import WORKFLOWS, served_queues
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.client import Client, WorkflowHandle

    from activities.authority.signers import Signers
    from runbook_model.reports import Checkpoint

SIGNED = 'needed = 1, people = ["bob", "carol", "dave"], signed = true'
CATALOG = """
[environments.{environment}]
cluster = "prod"
approvals = {{ {approvals} }}
[services.shop.{environment}]
ecs_service = "shop"
url = "http://shop"
verify = {{ bake = "10s", rate_window = "10s" }}
rollback = {{ soak = "0s" }}
scale = {{ latency = 4, max = {most} }}
"""


@dataclass
class Service(Sick):
    """A service behind the guards; what was before a scale-out is read from real histories."""

    histories: ScaleOutHistory | None = None

    @activity.defn
    async def read_scaled_out(self, of: ScaleOutRuns) -> ScaledOut | None:
        assert self.histories
        return await self.histories.read_scaled_out(of)


class Stage:
    """One environment, its workers, its catalog and its people."""

    def __init__(self, client: Client, folder: Path, service: Service) -> None:
        self.client = client
        self.environment = f"e{uuid.uuid4().hex[:12]}"
        self.lock = ids.remediation_id(self.environment, "shop")
        self.queue = ids.task_queue(self.environment)
        self.service = service
        self.catalog = folder / "catalog.toml"
        self.desk = Desk(folder)
        self.standing = folder / "standing"
        self.standing.mkdir()
        self.histories = service.histories = ScaleOutHistory(client)
        self.runs: list[WorkflowHandle] = []
        self.says()

    def says(self, approvals: str = f"{SIGNED}, requester_may = true", *, most: int = 10) -> None:
        """Write the catalog."""
        self.catalog.write_text(CATALOG.format(environment=self.environment, approvals=approvals, most=most))

    @asynccontextmanager
    async def workers(self, *, cached: int = 100):
        """The environment's workers, with what stands before a real worker's activities."""
        served = served_queues([self.environment])
        warrants = Warrants(self.desk.file, Standing(self.standing), ChangeHistory(self.client, CHANGES))
        guard = GuardChanges(
            served, self.catalog, CHANGES, fenced=FENCED,
            fill_in={TAKES_BACK: self.histories.fill_in}, authorize=warrants.authorize,
        )  # fmt: skip
        real = activities_of(
            CatalogActivities(self.catalog, served),
            DecisionActivities(self.catalog, self.desk.file, self.standing),
            LockActivities(self.client, timedelta(seconds=0.1)),
        )
        names = {item.__name__ for item in real}
        activities = [*real, *(item for item in self.service.activities if item.__name__ not in names)]
        between = [TranslateErrors(), guard]
        threads = ThreadPoolExecutor(4)
        short = Worker(
            self.client, task_queue=self.queue, workflows=WORKFLOWS, workflow_runner=sandbox_runner(),
            activities=activities, interceptors=[TrimArguments(), *between], activity_executor=threads,
            max_cached_workflows=cached,
        )  # fmt: skip
        long = Worker(
            self.client,
            task_queue=ids.watch_queue(self.environment),
            activities=activities,
            interceptors=between,
            activity_executor=threads,
        )
        with threads:
            async with short, long:
                yield

    async def start(self, procedure: str = "rollback", **fields: object) -> WorkflowHandle:
        """Start a procedure as alice does."""
        known = {"service": "shop", "environment": self.environment, "requested_by": "alice"}
        run = await self.client.start_workflow(
            workflow_type(procedure), RollbackRequest(**(known | fields)), id=self.lock, task_queue=self.queue,
            result_type=Report,
        )  # fmt: skip
        self.runs.append(run)
        return run

    async def gate(self, run: WorkflowHandle, *, other_than: str | None = None) -> Checkpoint:
        """The question that is open, or the next one."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = (await self.report(run)).checkpoint
                if found and found.subject != other_than:
                    return found
                await asyncio.sleep(0.01)

    async def report(self, run: WorkflowHandle) -> Report:
        return await run.query("status", result_type=Report)

    async def approve(self, run: WorkflowHandle, by: str = "bob", **other: object) -> Checkpoint:
        """Answer the question that is open, signed."""
        gate = await self.gate(run)
        await run.execute_update("decide", self.desk.answer(gate, by, **other))
        return gate

    async def wrong(self, signers: Signers) -> list[str]:
        """What the checker finds: a change without a signed yes to exactly that, or after an abort."""
        standing = [parse_standing(file.read_text()).order for file in self.standing.glob("*.json")]
        return await wrong_of(self.client, self.runs, signers=signers, standing=standing)

    async def end(self, run: WorkflowHandle) -> Report:
        return await asyncio.wait_for(run.result(), PATIENCE)
