"""Somebody who reaches Temporal's frontend and knows every name: their own runs, on a queue and a worker of their own."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.client import ActivityFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.docker.activities import RestartService
from activities.ecs.configuring import PutSettingsBack
from activities.ecs.orders import DeployRelease, ForceDeployment, MarkRelease, RegisterRelease, StopDeployment
from activities.ecs.pausing import ContinueDeployment
from activities.ecs.task_sizes import RegisterSized
from activities.postgres.activities import TerminateSessions
from activities.rds.activities import Reboot
from activities.terraform.activities import TerraformApply
from runbook_model.catalog.catalog import load_catalog
from runbook_model.measured.database import Instance
from runbook_model.names import ids
from runbook_model.releases.capacity import Capacity, TaskChange
from runbook_model.releases.configuring import read_settings
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Judgement, Mark
from runbook_model.sizes import RestoreCapacity, ScaleOut, ScaleOutRun
from tests.patience import PATIENCE

WAITS = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 15}
FIRST_ATTEMPT = {
    "start_to_close_timeout": timedelta(seconds=20),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}


@workflow.defn(name="Rollback")
class Forged:
    """A run of the intruder's, called as the product's: it has activities run wherever they like."""

    @workflow.run
    async def run(self, calls: list[dict]) -> list[str]:
        return list(await asyncio.gather(*(self._came(call) for call in calls)))

    async def _came(self, call: dict) -> str:
        try:
            found = await workflow.execute_activity(
                call["activity"], call["given"], task_queue=call["queue"],
                heartbeat_timeout=timedelta(seconds=20), **FIRST_ATTEMPT,
            )  # fmt: skip
        except ActivityError as error:
            return f"{error.cause.type}: {error.cause.message}"
        return f"done: {json.dumps(found)}"


class Mallory:
    """The intruder, after one service."""

    def __init__(self, client, catalog, shop):
        self.client = client
        self.catalog = catalog
        self.shop = shop
        self.queue = f"mallory-{uuid.uuid4().hex[:8]}"

    @property
    def worker(self):
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[Forged],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )

    @property
    def target(self):
        """The target as the catalog has it: they read it in a history."""
        return load_catalog(self.catalog).target(self.shop.name, self.shop.environment)

    async def makes(self, *changes, as_run=None, queue=None):
        """Have activities run by a run of their own; what came of each, or why it was refused."""
        queue = queue or ids.task_queue(self.shop.environment)
        calls = [
            {"activity": name, "given": given.model_dump(mode="json"), "queue": queue}
            for name, given in changes
        ]
        run = await self.client.start_workflow(
            "Rollback", calls, id=as_run or self.shop.id, task_queue=self.queue, result_type=list[str]
        )
        return await asyncio.wait_for(run.result(), PATIENCE)

    async def makes_alone(self, name, given):
        """Have an activity run that belongs to no run."""
        try:
            await self.client.execute_activity(
                name, given.model_dump(mode="json"), id=uuid.uuid4().hex,
                task_queue=ids.task_queue(self.shop.environment), **FIRST_ATTEMPT,
            )  # fmt: skip
        except ActivityFailureError as error:
            return f"{error.cause.type}: {error.cause.message}"
        return "done"

    async def history(self):
        """Look at the service as the product's own looks do."""
        (came,) = await self.makes(("read_history", self.target))
        return ReleaseHistory.model_validate_json(came.removeprefix("done: "))

    @staticmethod
    def older(history):
        """The release that ran before."""
        return next(item for item in history.releases.values() if item != history.current)

    async def every_change(self, **more):
        """One order for each change of the product, on the service as it is."""
        history, target = await self.history(), self.target
        fence = history.service.fence
        older = self.older(history)
        known = {"target": target, **more}
        now = Capacity(desired=1, running=1)
        mark = Mark(verdict=Judgement.BAD, digest="d", source="mallory", at=datetime.now(UTC))
        run = ScaleOutRun(workflow_id=self.shop.id, run_id=str(uuid.uuid4()))
        return {
            "deploy_release": DeployRelease(release=older, fence=fence, **known),
            "force_deployment": ForceDeployment(fence=fence, **known),
            "stop_deployment": StopDeployment(
                service_deployment=history.service.service_deployment or "", fence=fence, **known
            ),
            "continue_deployment": ContinueDeployment(
                service_deployment=history.service.service_deployment or "",
                hook="ecs-pause-1",
                brings=older,
                planned_on=fence,
                **known,
            ),
            "put_settings_back": PutSettingsBack(settings=read_settings(WAITS), **known),
            "register_release": RegisterRelease(release=older, run_id="r", **known),
            "register_sized": RegisterSized(release=older, change=TaskChange(cpu=512), run_id="r", **known),
            "mark_release": MarkRelease(release=older, mark=mark, **known),
            "scale_out": ScaleOut(was=now, to=4, **known),
            "restore_capacity": RestoreCapacity(runs=(run,), **known),
            "reboot_instance": Reboot(was=Instance(name="db", status="available"), **known),
            "terminate_sessions": TerminateSessions(sessions=(), **known),
            "apply_terraform": TerraformApply(variables={"image_tag": "1"}, hash="h", run_id="r", **known),
            "restart_service": RestartService(service="shop", fence=(), names=(), **known),
        }
