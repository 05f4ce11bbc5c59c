"""An apply is fenced like every other change: its saved plan knows nothing of what was deployed past Terraform."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.terraform.activities import TerraformActivities, TerraformApply
from activities.terraform.run import NOT_STARTED
from activities.terraform.state import PlanStore
from runbook_model.catalog.service_policies import Terraform
from runbook_model.errors import DriftedError, UnreachableError
from runbook_model.releases.release import Fence
from tests.aws_answers import Ecs, service, services
from tests.ecs_facts import deployment_arn, task_definition
from tests.observing import a_target
from tests.patience import PATIENCE

AS_PLANNED = Fence(
    primary="ecs-svc/2", task_definition=task_definition(2), service_deployment=deployment_arn(2)
)


@pytest.fixture
def ecs():
    return Ecs()


class Applying:
    """The first attempt of an apply, by a program that leaves a note that it ran."""

    def __init__(self, ecs: Ecs, folder) -> None:
        self.module, self.ran = folder / "module", folder / "ran"
        self.module.mkdir()
        program = folder / "terraform"
        program.write_text(f"#!/bin/sh\ntouch {self.ran}\n")
        program.chmod(0o755)
        store = PlanStore(folder / "plans")
        self.activities = TerraformActivities(ecs.clients, store, timedelta(minutes=1), str(program))
        self.said: list[tuple[object, ...]] = []

    async def run(self) -> None:
        target = a_target(ecs_service="shop", cluster="prod", terraform=Terraform(directory=str(self.module)))
        order = TerraformApply(
            target=target, variables={"image_tag": "1"}, hash="h", run_id="r", fence=AS_PLANNED
        )
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info, heartbeat_timeout=timedelta(seconds=30), scheduled_time=datetime.now(UTC)
        )
        environment.on_heartbeat = lambda *details: self.said.append(details)
        await asyncio.wait_for(environment.run(self.activities.apply_terraform, order), PATIENCE)


async def test_a_deployment_past_terraform_is_left_alone_before_anything_is_run(ecs, tmp_path):
    ecs.answers("describe_services", services(service(3, 5)))
    applying = Applying(ecs, tmp_path)
    with ecs.asked_for_exactly_this(), pytest.raises(DriftedError, match="theirs stays") as raised:
        await applying.run()
    assert raised.value.certainly_not_made
    assert not applying.ran.exists()


async def test_an_aws_that_does_not_answer_leaves_a_note_that_nothing_was_started(ecs, tmp_path):
    ecs.loses("describe_services")
    applying = Applying(ecs, tmp_path)
    with ecs.asked_for_exactly_this(), pytest.raises(UnreachableError) as raised:
        await applying.run()
    assert raised.value.retryable
    assert applying.said[-1] == (NOT_STARTED, 1)
    assert not applying.ran.exists()
