"""Switches for deployments that shift traffic: what Lambda hooks answer, and the states of CloudWatch alarms."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.aws.calls import Call
from sandbox.aws_clients import cloudwatch_client
from sandbox.control import object_in, refusal
from sandbox.ecs import SimulatedEcs
from sandbox.ecs.protocol import service_model

if TYPE_CHECKING:
    from botocore.model import StringShape
    from starlette.requests import Request

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
            Route("/_sandbox/hooks", self._show_hooks, methods=["GET"]),
            Route("/_sandbox/hooks", self._set_hook, methods=["POST"]),
            Route("/_sandbox/alarms", self._show_alarms, methods=["GET"]),
            Route("/_sandbox/alarms", self._set_alarm, methods=["POST"]),
        ]

    async def _show_hooks(self, _: Request) -> JSONResponse:
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
        return JSONResponse({"answers": self._ecs.hook_answers, "asked": asked})

    async def _set_hook(self, request: Request) -> JSONResponse:
        order = await object_in(request)
        stage, answer = order.get("stage"), order.get("answer")
        shape = cast("StringShape", service_model("ecs").shape_for("DeploymentLifecycleHookStage"))
        if stage not in shape.enum:
            return refusal(f"stage must be one of: {', '.join(shape.enum)}")
        if answer not in ANSWERS:
            return refusal(f"answer must be one of: {', '.join(ANSWERS)}")
        self._ecs.hook_answers[str(stage)] = str(answer)
        return JSONResponse({"answers": self._ecs.hook_answers})

    async def _show_alarms(self, _: Request) -> JSONResponse:
        return JSONResponse(self._ecs.alarms)

    async def _set_alarm(self, request: Request) -> JSONResponse:
        order = await object_in(request)
        name, state = order.get("name"), order.get("state")
        if not isinstance(name, str) or not name:
            return refusal("name must be the name of an alarm")
        if state not in STATES:
            return refusal(f"state must be one of: {', '.join(STATES)}")
        if self._moto_url is not None:
            try:
                await asyncio.to_thread(_show_in_cloudwatch, self._moto_url, name, str(state))
            except (BotoCoreError, ClientError) as error:
                return refusal(f"CloudWatch did not take it: {error}")
        self._ecs.alarms[name] = str(state)
        return JSONResponse(self._ecs.alarms)


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
