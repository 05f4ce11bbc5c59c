"""An ECS endpoint for thousands of services: the protocol and the facts of a rollout, without a process per task.

Every service has run revisions 1 and 2. A deployment is under way until the moment that the test sets. Run as a program
it serves until its stdin closes; the first line of its stdout is its address.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import uvicorn

from sandbox.machine.processes import free_port

ARN = "arn:aws:ecs:us-east-1:123456789012"
LONG_AGO = 86400.0
EMPTY = {
    "ListTaskDefinitions": {"taskDefinitionArns": []},
    "ListTasks": {"taskArns": []},
    "TagResource": {},
}
"""Actions of which nothing is reported."""


@dataclass
class LeanDeployment:
    """One deployment of a service."""

    number: int
    revision: int
    began: float
    steady: float

    @property
    def done(self) -> bool:
        return time.time() >= self.steady


@dataclass
class LeanService:
    """One service, as its deployments left it."""

    cluster: str
    name: str
    deployments: list[LeanDeployment] = field(default_factory=list)

    def __post_init__(self) -> None:
        long_ago = time.time() - LONG_AGO
        self.deployments = [LeanDeployment(n, n, long_ago + n, long_ago + n) for n in (1, 2)]

    @property
    def last(self) -> LeanDeployment:
        return self.deployments[-1]

    def arn(self, kind: str, number: int) -> str:
        return f"{ARN}:{kind}/{self.cluster}/{self.name}/{number}"

    def definition(self, revision: int) -> str:
        return f"{ARN}:task-definition/{self.name}:{revision}"

    def described(self) -> dict[str, object]:
        last = self.last
        former = self.deployments[-2] if not last.done else None
        return {
            "serviceArn": f"{ARN}:service/{self.cluster}/{self.name}",
            "serviceName": self.name,
            "clusterArn": f"{ARN}:cluster/{self.cluster}",
            "status": "ACTIVE",
            "desiredCount": 2,
            "runningCount": 2,
            "pendingCount": 0 if last.done else 1,
            "taskDefinition": self.definition(last.revision),
            "deployments": [self._deployment(last), *([self._deployment(former)] if former else [])],
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
            "currentServiceDeployment": self.arn("service-deployment", last.number),
            "currentServiceRevisions": [{"arn": self.arn("service-revision", last.number)}],
            "events": [],
        }

    def _deployment(self, lean_deployment: LeanDeployment) -> dict[str, object]:
        primary = lean_deployment is self.last
        running = 2 if lean_deployment.done else 1
        return {
            "id": f"ecs-svc/{self.name}-{lean_deployment.number}",
            "status": "PRIMARY" if primary else "ACTIVE",
            "taskDefinition": self.definition(lean_deployment.revision),
            "desiredCount": 2 if primary else 0,
            "runningCount": running if primary else 1,
            "pendingCount": 0 if lean_deployment.done else 1,
            "failedTasks": 0,
            "rolloutState": "COMPLETED" if lean_deployment.done else "IN_PROGRESS",
            "createdAt": lean_deployment.began,
            "updatedAt": lean_deployment.began,
        }

    def service_deployment(self, number: int) -> dict[str, object]:
        known = self.deployments[number - 1]
        superseded = known is not self.last
        ended = {"finishedAt": known.began + 1} if known.done or superseded else {}
        return {
            "serviceDeploymentArn": self.arn("service-deployment", number),
            "serviceArn": f"{ARN}:service/{self.cluster}/{self.name}",
            "status": "SUCCESSFUL" if known.done else "STOPPED" if superseded else "IN_PROGRESS",
            "createdAt": known.began,
            "startedAt": known.began,
            "sourceServiceRevisions": [{"arn": self.arn("service-revision", number - 1)}]
            if number > 1
            else [],
            "targetServiceRevision": {"arn": self.arn("service-revision", number)},
            **ended,
        }

    def service_revision(self, number: int) -> dict[str, object]:
        revision = self.deployments[number - 1].revision
        image = {"containerName": "app", "image": f"shop:1.{revision}.0", "imageDigest": _digest(revision)}
        return {
            "serviceRevisionArn": self.arn("service-revision", number),
            "taskDefinition": self.definition(revision),
            "containerImages": [image],
        }


def _digest(revision: int) -> str:
    return f"sha256:{revision:064x}"


Call = tuple[float, str, int]
"""When it came, its action, and how many services it asked for."""


class LeanEcs:
    """Answers what the product asks of ECS, and a few paths of its own: ``/calls``, ``/steady``, ``/rollouts``."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._rollout_seconds = math.inf
        self._services: dict[tuple[str, str], LeanService] = {}
        self._calls: list[Call] = []

    async def __call__(self, scope, receive, send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = json.loads(body or b"{}")
        action = dict(scope["headers"]).get(b"x-amz-target", b"").decode().rpartition(".")[2]
        if action:
            self._calls.append((time.time(), action, len(asked.get("services", ()))))
            await asyncio.sleep(self._latency)
            answer = self._answer(action, asked)
        else:
            answer = getattr(self, scope["path"].strip("/"))(**asked)
        status = 400 if "__type" in answer else 200
        await send({
            "type": "http.response.start", "status": status,
            "headers": [(b"content-type", b"application/x-amz-json-1.1")],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    # --- for who measures ---------------------------------------------------------------------------------------------

    def calls(self, since: float = 0.0) -> dict[str, object]:
        return {"calls": [call for call in self._calls if call[0] >= since]}

    def rollouts(self, seconds: float | None = None) -> dict[str, object]:
        """From now on a deployment is steady so many seconds after its start; None: never."""
        self._rollout_seconds = math.inf if seconds is None else seconds
        return {}

    def steady(self, cluster: str, services: dict[str, float]) -> dict[str, object]:
        """Set the moments at which the last deployments of services get steady."""
        for name, moment in services.items():
            self._service(cluster, name).last.steady = moment
        return {}

    # --- ECS ----------------------------------------------------------------------------------------------------------

    def _answer(self, action: str, asked) -> dict[str, object]:
        if action in EMPTY:
            return EMPTY[action]
        match action:
            case "DescribeServices":
                found = [self._service(asked["cluster"], name) for name in asked["services"]]
                return {"services": [item.described() for item in found], "failures": []}
            case "UpdateService":
                return {"service": self._update(asked)}
            case "ListServiceDeployments":
                known = self._service(asked["cluster"], asked["service"])
                briefs = [known.service_deployment(d.number) for d in reversed(known.deployments)]
                return {"serviceDeployments": briefs[: asked.get("maxResults", 20)]}
            case "DescribeServiceDeployments":
                arns = asked["serviceDeploymentArns"]
                return {
                    "serviceDeployments": [self._by(arn).service_deployment(_number(arn)) for arn in arns]
                }
            case "DescribeServiceRevisions":
                arns = asked["serviceRevisionArns"]
                return {"serviceRevisions": [self._by(arn).service_revision(_number(arn)) for arn in arns]}
            case "DescribeTaskDefinition":
                return _task_definition(asked["taskDefinition"])
        return {"__type": "UnsupportedFeatureException", "message": f"{action} is not part of this stand-in"}

    def _service(self, cluster: str, name: str) -> LeanService:
        key = cluster.rpartition("/")[2], name.rpartition("/")[2]
        if key not in self._services:
            self._services[key] = LeanService(*key)
        return self._services[key]

    def _by(self, arn: str) -> LeanService:
        _, cluster, name, _ = arn.split("/")
        return self._service(cluster, name)

    def _update(self, asked) -> dict[str, object]:
        known, now = self._service(asked["cluster"], asked["service"]), time.time()
        revision = int(asked["taskDefinition"].rpartition(":")[2])
        if revision != known.last.revision:
            number = known.last.number + 1
            known.deployments.append(LeanDeployment(number, revision, now, now + self._rollout_seconds))
        return known.described()


def _number(arn: str) -> int:
    return int(arn.rpartition("/")[2])


def _task_definition(name: str) -> dict[str, object]:
    family, _, revision = name.rpartition("/")[2].partition(":")
    container = {"name": "app", "image": f"shop:1.{revision}.0", "environment": []}
    return {
        "taskDefinition": {
            "taskDefinitionArn": f"{ARN}:task-definition/{family}:{revision}",
            "family": family,
            "revision": int(revision),
            "status": "ACTIVE",
            "containerDefinitions": [container],
        },
        "tags": [],
    }


def calls_per_second(calls: list[Call], action: str, since: float, until: float) -> tuple[float, int]:
    """Return how often an action was called in a window: the mean, and the most in any one second of it."""
    moments = [at for at, made, _ in calls if made == action and since <= at < until]
    by_second = Counter(int(at - since) for at in moments)
    return len(moments) / (until - since), max(by_second.values(), default=0)


async def _serve(latency: float) -> None:
    port = free_port()
    config = uvicorn.Config(
        LeanEcs(latency), port=port, log_level="warning", access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201 - the line that the parent waits for
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--latency", type=float, default=0.05, help="seconds that every answer takes")
    asyncio.run(_serve(options.parse_args().latency))
