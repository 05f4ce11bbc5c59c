import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.ecs.waits import AwaitedDrift, Waits
from runbook_model.errors import InputError
from runbook_model.releases.rollout import Awaited, Phase
from tests.aws_answers import Ecs, service, services
from tests.ecs_facts import NOW, a_deployment, a_service, deployment_arn, task_definition
from tests.observing import a_target

STATE = a_service(a_deployment(2, task_definition(2)))
TARGET = a_target(service="shop", cluster="prod", ecs_service="shop")


class TestWaitingActivities:
    @pytest.fixture
    def ecs(self):
        return Ecs()

    @pytest.fixture
    def reported(self):
        return []

    @pytest.fixture
    def environment(self, reported):
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, heartbeat_timeout=timedelta(seconds=0.3))
        environment.on_heartbeat = reported.append
        return environment

    @staticmethod
    def awaiting(left: timedelta) -> Awaited:
        return Awaited(
            target=TARGET,
            deployment="ecs-svc/3",
            task_definition=task_definition(1),
            service_deployment=deployment_arn(3),
            deadline=datetime.now(UTC) + left,
        )

    @pytest.mark.parametrize("left", [timedelta(hours=1), timedelta(hours=-1)])
    async def test_steady_takes_two_readings_even_when_no_worker_was_there_until_the_deadline(
        self, ecs, environment, reported, left
    ):
        ecs.answers("describe_services", services(service(3, 1)))
        ecs.answers("describe_services", services(service(3, 1)))
        with ecs.asked_for_exactly_this():
            rollout = await environment.run(Waits(ecs.clients).await_steady_state, self.awaiting(left))
        assert rollout.phase is Phase.STEADY
        assert {"nothing read yet", "2 of 2 tasks run"} >= set(reported) > set()

    async def test_one_steady_reading_is_a_moments_picture(self, ecs, environment):
        busy = service(3, 1)
        busy["deployments"][0]["runningCount"] = 1
        for answer in (service(3, 1), busy, service(3, 1), service(3, 1)):
            ecs.answers("describe_services", services(answer))
        with ecs.asked_for_exactly_this():
            rollout = await environment.run(
                Waits(ecs.clients).await_steady_state, self.awaiting(timedelta(hours=1))
            )
        assert rollout.phase is Phase.STEADY

    async def test_what_is_not_steady_by_the_deadline_is_stuck(self, ecs, environment):
        busy = service(3, 1)
        busy["deployments"][0]["runningCount"] = 1
        ecs.answers("describe_services", services(busy))
        with ecs.asked_for_exactly_this():
            rollout = await environment.run(
                Waits(ecs.clients).await_steady_state, self.awaiting(timedelta(0))
            )
        assert (rollout.phase, rollout.detail) == (Phase.STUCK, "not steady in time: 1 of 2 tasks run")

    async def test_bad_answers_are_said_in_the_heartbeat_and_waited_out(self, ecs, environment, reported):
        ecs.refuses("describe_services", "ThrottlingException", message="Rate exceeded")
        ecs.answers("describe_services", services(service(3, 1)))
        ecs.answers("describe_services", services(service(3, 1)))
        with ecs.asked_for_exactly_this():
            rollout = await environment.run(
                Waits(ecs.clients).await_steady_state, self.awaiting(timedelta(hours=1))
            )
        assert rollout.phase is Phase.STEADY
        assert "could not describe the services of prod: ThrottlingException: Rate exceeded" in reported

    async def test_a_service_that_is_gone_ends_the_wait(self, ecs, environment):
        ecs.answers("describe_services", services())
        with (
            ecs.asked_for_exactly_this(),
            pytest.raises(InputError, match="the service shop is gone from cluster prod"),
        ):
            await environment.run(Waits(ecs.clients).await_steady_state, self.awaiting(timedelta(hours=1)))

    async def test_drift_is_a_changed_primary_and_not_a_changed_count(self, ecs, environment):
        ecs.answers("describe_services", services(service(2, 2, runningCount=1, desiredCount=5)))
        ecs.answers("describe_services", services(service(3, 5)))
        awaited = AwaitedDrift(target=TARGET, fence=STATE.fence)
        with ecs.asked_for_exactly_this():
            state = await environment.run(Waits(ecs.clients).await_drift, awaited)
        assert state.task_definition == task_definition(5)

    async def test_a_plan_to_stop_a_deployment_is_void_once_that_has_ended(self, ecs, environment):
        for status in ("IN_PROGRESS", "SUCCESSFUL"):
            ecs.answers("describe_services", services(service(2, 2)))
            ended = {"serviceDeploymentArn": deployment_arn(2), "status": status, "createdAt": NOW}
            ecs.answers(
                "describe_service_deployments",
                {"serviceDeployments": [ended]},
                {"serviceDeploymentArns": [deployment_arn(2)]},
            )
        awaited = AwaitedDrift(target=TARGET, fence=STATE.fence, under_way=deployment_arn(2))
        with ecs.asked_for_exactly_this():
            state = await environment.run(Waits(ecs.clients).await_drift, awaited)
        assert state.fence == STATE.fence

    async def test_many_waits_ask_for_their_service_deployments_in_one_call(self, ecs, environment):
        ours = [deployment_arn(1), deployment_arn(2)]
        stopped = [{"serviceDeploymentArn": arn, "status": "STOPPED", "createdAt": NOW} for arn in ours]
        for _ in range(2):
            ecs.answers(
                "describe_services",
                services(service(3, 1), service(3, 1, serviceName="cart")),
                {"cluster": "prod", "services": ["cart", "shop"]},
            )
            ecs.answers(
                "describe_service_deployments",
                {"serviceDeployments": stopped},
                {"serviceDeploymentArns": ours},
            )
        waits = Waits(ecs.clients)
        both = [
            self.awaiting(timedelta(hours=1)).model_copy(
                update={
                    "target": TARGET.model_copy(update={"ecs_service": name}),
                    "deployment": "ecs-svc/1",
                    "service_deployment": arn,
                }
            )
            for name, arn in zip(("shop", "cart"), ours, strict=True)
        ]
        with ecs.asked_for_exactly_this():
            rollouts = await asyncio.gather(
                *(environment.run(waits.await_steady_state, item) for item in both)
            )
        assert [rollout.phase for rollout in rollouts] == [Phase.SUPERSEDED] * 2
