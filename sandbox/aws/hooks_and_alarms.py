"""Switches for deployments that shift traffic: what Lambda hooks answer, and the states of CloudWatch alarms."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws.calls import Call
from sandbox.aws_clients import cloudwatch_client
from sandbox.control import RefusedOrderError, one_of, switch
from sandbox.ecs import SimulatedEcs
from sandbox.ecs.protocol import service_model

if TYPE_CHECKING:
    from botocore.model import StringShape

ANSWERS = ("SUCCEEDED", "FAILED", "IN_PROGRESS")
STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")


class Switches:
    """The routes ``/_sandbox/hooks`` and ``/_sandbox/alarms``."""

    def __init__(self, ecs: SimulatedEcs, moto_url: str | None) -> None:
        """Make the switches.

        Args:
            ecs: the simulated ECS whose deployments follow them.
            moto_url: where CloudWatch shows the alarms; None for nowhere.
        """
        self._ecs = ecs
        self._moto_url = moto_url
        self.routes = [
            *switch("/_sandbox/hooks", self._hooks, self._set_hook),
            *switch("/_sandbox/alarms", lambda: ecs.alarms, self._set_alarm),
        ]

    def _hooks(self) -> object:
        asked = [
            {
                "service": service.name,
                "serviceDeploymentArn": deployment.arn,
                "stage": item.stage,
                "testTrafficWeight": item.test,
                "productionTrafficWeight": item.production,
                "answer": item.answer,
            }
            for service in self._ecs.services()
            for deployment in service.service_deployments
            if deployment.shift is not None
            for item in deployment.shift.asked
        ]
        return {"answers": self._ecs.hook_answers, "asked": asked}

    async def _set_hook(self, order: Mapping[str, object]) -> object:
        shape = cast("StringShape", service_model("ecs").shape_for("DeploymentLifecycleHookStage"))
        stage = one_of(order, "stage", shape.enum)
        self._ecs.hook_answers[stage] = one_of(order, "answer", ANSWERS)
        return {"answers": self._ecs.hook_answers}

    async def _set_alarm(self, order: Mapping[str, object]) -> None:
        name = order.get("name")
        if not isinstance(name, str) or not name:
            raise RefusedOrderError("name must be the name of an alarm")
        state = one_of(order, "state", STATES)
        if self._moto_url is not None:
            try:
                await asyncio.to_thread(_show_in_cloudwatch, self._moto_url, name, state)
            except (BotoCoreError, ClientError) as error:
                raise RefusedOrderError(f"CloudWatch did not take it: {error}") from None
        self._ecs.alarms[name] = state


def take_alarm_state(ecs: SimulatedEcs, call: Call) -> None:
    """Follow whoever sets an alarm by CloudWatch's own API; nothing else ever changes one here."""
    if (call.service, call.action) == ("cloudwatch", "SetAlarmState"):
        ecs.alarms[str(call.parameters["AlarmName"])] = str(call.parameters["StateValue"])


def _show_in_cloudwatch(moto_url: str, name: str, state: str) -> None:
    """Set the alarm in CloudWatch, and make it first where nobody has."""
    cloudwatch = cloudwatch_client(moto_url)
    if not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Namespace="AWS/ApplicationELB",
            MetricName="HTTPCode_Target_5XX_Count",
            Period=60,
            Statistic="Sum",
            Threshold=0,
        )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by the sandbox")  # type: ignore[arg-type]
