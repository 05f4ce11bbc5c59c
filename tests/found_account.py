"""An AWS account as botocore's own clients read it: answers are made here, below paging and above the network, and every call is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from threading import Lock
from typing import Any

import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator

from activities.aws.clients import PATIENT, AwsClients
from activities.discovery.account import read_caller, read_clusters, read_workspaces
from activities.discovery.asking import IAM_NAMES, Asking
from runbook_model.catalog.accounts import Account
from runbook_model.discovered import Discovered, FoundPrometheus

REGION, NUMBER = "eu-west-1", "123456789012"
SERVICES = ("sts", "ecs", "elbv2", "logs", "application-autoscaling", "rds", "amp")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DEFAULT_PAGE = {"ListServices": 10, "ListClusters": 100}
REFUSALS = {"elbv2": "AccessDenied", "rds": "AccessDenied"}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{NUMBER}:{resource}"


def group_arn(name: str) -> str:
    return arn("elasticloadbalancing", f"targetgroup/{name}/6d0ecf831eec9f09")


class FoundAccount:
    """Clusters and services that a test puts there."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.denied: set[str] = set()
        """Actions as IAM names them."""
        self.clusters: dict[str, dict[str, dict[str, Any]]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.groups: list[dict[str, Any]] = []
        self.balancers: list[dict[str, Any]] = []
        self.listeners: dict[str, list[dict[str, Any]]] = {}
        self.rules: dict[str, list[dict[str, Any]]] = {}
        self.log_groups: set[str] = set()
        self.scaling: list[dict[str, Any]] = []
        self.databases: list[dict[str, Any]] = []
        self.workspaces: list[str] = []
        self._lock = Lock()

    def cluster(self, *names: str) -> None:
        for name in names:
            self.clusters.setdefault(name, {})

    def service(
        self,
        cluster: str,
        name: str,
        *,
        containers: list[dict[str, Any]] | None = None,
        balanced: str | None = None,
        **changes: Any,
    ) -> None:
        """Put a service of one container there, behind the target group ``balanced``."""
        self.cluster(cluster)
        family = arn("ecs", f"task-definition/{name}:7")
        self.definitions[family] = {
            "taskDefinitionArn": family,
            "family": name,
            "revision": 7,
            "status": "ACTIVE",
            "containerDefinitions": containers or [container("app", f"shop/{name}:1.4.0", f"/ecs/{name}")],
        }
        self.log_groups.add(f"/ecs/{name}")
        behind = [{"targetGroupArn": group_arn(balanced), "containerName": "app", "containerPort": 8080}]
        self.clusters[cluster][name] = {
            "serviceArn": arn("ecs", f"service/{cluster}/{name}"),
            "serviceName": name,
            "status": "ACTIVE",
            "desiredCount": 2,
            "runningCount": 2,
            "pendingCount": 0,
            "taskDefinition": family,
            "loadBalancers": behind if balanced else [],
            "deployments": [],
        } | changes

    def balance(self, group: str, *, rules: list[dict[str, Any]] | None = None, **how: Any) -> None:
        """Put a load balancer there with one listener, which leads to a target group.

        Args:
            group: the target group's name.
            rules: conditions of each rule that leads there; the default action does where there is none.
            how: what differs from the rest of a balancer, listener or group.
        """
        target, name = group_arn(group), f"lb-{group}"
        balancer = arn("elasticloadbalancing", f"loadbalancer/app/{name}/50dc6c495c0c9188")
        listener = arn("elasticloadbalancing", f"listener/app/{name}/50dc6c495c0c9188/f2f7dc8efc522ab2")
        protocol, port = how.pop("protocol", "HTTP"), how.pop("port", 80)
        self.balancers.append(
            {
                "LoadBalancerArn": balancer,
                "LoadBalancerName": name,
                "DNSName": f"{name}.elb.example.com",
                "Scheme": how.pop("scheme", "internet-facing"),
                "Type": "application",
            }
        )
        self.groups.append(
            {
                "TargetGroupArn": target,
                "TargetGroupName": group,
                "Port": 8080,
                "HealthCheckProtocol": "HTTP",
                "HealthCheckPort": "traffic-port",
                "HealthCheckPath": "/healthz",
                "Matcher": {"HttpCode": "200"},
                "LoadBalancerArns": [balancer],
            }
            | how
        )
        if self.groups[-1]["HealthCheckPath"] is None:
            del self.groups[-1]["HealthCheckPath"]
        forward = [{"Type": "forward", "TargetGroupArn": target}]
        self.listeners[balancer] = [
            {"ListenerArn": listener, "Port": port, "Protocol": protocol, "DefaultActions": forward}
        ]
        self.rules[listener] = [
            {"RuleArn": f"rule/{number}", "Conditions": conditions, "Actions": forward}
            for number, conditions in enumerate([[]] if rules is None else rules)
        ]

    def read(self, *clusters: str, prometheus: FoundPrometheus | None = None) -> Discovered:
        """Read the account as the command does."""
        Answering.account = self
        asking = Asking(_clients(), Account(region=REGION))
        caller = read_caller(asking)
        found = read_clusters(asking, clusters)
        workspaces = () if prometheus else read_workspaces(asking)
        return Discovered(
            region=REGION,
            caller=caller,
            clusters=found,
            prometheus=prometheus,
            workspaces=workspaces,
            unread=asking.unread,
        )

    def count(self, action: str) -> int:
        return sum(called == action for called, _ in self.calls)

    def answer(self, model, context, **_: Any):
        action = f"{IAM_NAMES.get(model.service_model.service_name, model.service_model.service_name)}:{model.name}"
        asked = context["asked"]
        with self._lock:
            self.calls.append((action, asked))
        if action in self.denied:
            code = REFUSALS.get(model.service_model.service_name, "AccessDeniedException")
            refusal = {"Code": code, "Message": f"User: x is not authorized to perform: {action}"}
            return AWSResponse("", 400, {}, None), {
                "Error": refusal,
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
        answer = getattr(self, f"_{xform_name(model.name)}")(asked)
        problems = ParamValidator().validate(answer, model.output_shape).generate_report()
        assert not problems, problems
        return AWSResponse("", 200, {}, None), answer

    def _get_caller_identity(self, _):
        return {"Account": NUMBER, "Arn": f"arn:aws:sts::{NUMBER}:assumed-role/reader/alice"}

    def _list_clusters(self, asked):
        return _page("clusterArns", [arn("ecs", f"cluster/{name}") for name in self.clusters], asked, 100)

    def _describe_clusters(self, asked):
        assert len(asked["clusters"]) <= 100
        found = [name for name in asked["clusters"] if name in self.clusters]
        return {"clusters": [{"clusterName": name, "status": "ACTIVE"} for name in found]}

    def _list_services(self, asked):
        arns = [item["serviceArn"] for item in self.clusters[asked["cluster"]].values()]
        return _page("serviceArns", arns, asked, 10)

    def _describe_services(self, asked):
        assert len(asked["services"]) <= 10
        there = self.clusters[asked["cluster"]]
        return {"services": [there[name] for name in asked["services"] if name in there]}

    def _describe_task_definition(self, asked):
        return {"taskDefinition": self.definitions[asked["taskDefinition"]]}

    def _describe_target_groups(self, _):
        return {"TargetGroups": self.groups}

    def _describe_load_balancers(self, _):
        return {"LoadBalancers": self.balancers}

    def _describe_listeners(self, asked):
        return {"Listeners": self.listeners[asked["LoadBalancerArn"]]}

    def _describe_rules(self, asked):
        return {"Rules": self.rules[asked["ListenerArn"]]}

    def _describe_log_groups(self, asked):
        assert len(asked["logGroupIdentifiers"]) <= 50
        found = sorted({*asked["logGroupIdentifiers"]} & self.log_groups)
        return {"logGroups": [{"logGroupName": name} for name in found]}

    def _describe_scalable_targets(self, asked):
        assert asked["ServiceNamespace"] == "ecs"
        return {"ScalableTargets": self.scaling}

    def _describe_db_instances(self, _):
        return {"DBInstances": self.databases}

    def _list_workspaces(self, _):
        status = {"statusCode": "ACTIVE"}
        return {
            "workspaces": [
                {
                    "workspaceId": name,
                    "arn": arn("aps", f"workspace/{name}"),
                    "status": status,
                    "createdAt": NOW,
                }
                for name in self.workspaces
            ]
        }


class Answering:
    """The account that answers now: the clients are made once, for that takes botocore a third of a second."""

    account: FoundAccount


@cache
def _clients() -> AwsClients:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
            environment.delenv(name, raising=False)
        clients = AwsClients(config=PATIENT)
        for service in SERVICES:
            events = clients.reading(service, Account(region=REGION)).meta.events
            events.register("before-parameter-build", _keep_parameters)
            events.register("before-call", _answer)
        return clients


def container(name: str, image: str, group: str | None = None, **more: Any) -> dict[str, Any]:
    """A container of a task definition, which logs to a group of CloudWatch."""
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": group, "awslogs-region": REGION}}
    return (
        {"name": name, "image": image, "essential": True}
        | ({"logConfiguration": logs} if group else {})
        | more
    )


def scalable(cluster: str, service: str, low: int, high: int) -> dict[str, Any]:
    """What Application Auto Scaling says of a service."""
    return {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{cluster}/{service}",
        "ScalableDimension": "ecs:service:DesiredCount",
        "MinCapacity": low,
        "MaxCapacity": high,
        "RoleARN": f"arn:aws:iam::{NUMBER}:role/autoscaling",
        "CreationTime": NOW,
    }


def _answer(**call):
    return Answering.account.answer(**call)


def _keep_parameters(params, context, **_):
    context["asked"] = dict(params)


def _page(key: str, items: list[str], asked: dict[str, Any], default: int) -> dict[str, Any]:
    size, start = int(asked.get("maxResults", default)), int(asked.get("nextToken", 0))
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return {key: items[start : start + size], **more}
