"""The AWS endpoint: the call log, faults on demand, request rates, and the way to moto."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from ecs_world import CLUSTER, SERVICE, running_world
from moto.server import ThreadedMotoServer

from sandbox.ecs import ApiError
from sandbox.ecs.protocol import Throttle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecs_world import World


@pytest.fixture(scope="module")
def with_moto() -> Iterator[World]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with running_world(f"http://{host}:{port}") as running:
        yield running
    server.stop()


def actions(world: World) -> list[str]:
    return [call["action"] for call in world.calls()]


def test_every_call_is_logged_with_its_parameters_and_error(world: World) -> None:
    world.ecs.create_cluster(clusterName=CLUSTER)
    with pytest.raises(ClientError):
        world.update(desiredCount=1)
    created, updated = world.calls()

    assert created.keys() == {
        *("sequence", "time", "system", "service", "action", "parameters", "caller", "error")
    }
    assert created | {"time": None} == {
        "time": None,
        "system": "aws",
        "service": "ecs",
        "action": "CreateCluster",
        "parameters": {"clusterName": CLUSTER},
        "error": None,
        "sequence": 1,
        "caller": None,
    }
    assert (updated["action"], updated["error"]) == ("UpdateService", "ServiceNotFoundException")
    assert created["time"] < updated["time"]
    assert datetime.fromisoformat(created["time"]) > datetime.now(UTC) - timedelta(minutes=1)


def test_the_sandbox_s_own_calls_are_not_logged_and_meet_no_fault(world: World) -> None:
    own = world.client("ecs", user_agent_extra="sandbox-internal")
    world.fault(action="CreateCluster", times=1, error="ServerException")
    own.create_cluster(clusterName=CLUSTER)
    assert world.calls() == []
    with pytest.raises(ClientError, match="ServerException"):
        world.ecs.create_cluster(clusterName=CLUSTER)


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("ThrottlingException", 400, "Rate exceeded"),
        ("ServerException", 500, "Service Unavailable"),
        ("ServiceUnavailableException", 503, ""),
        ("ExpiredTokenException", 400, "The security token included in the request is expired"),
    ],
)
def test_an_error_fault_answers_its_code_and_changes_nothing(
    world: World, code: str, status: int, words: str
) -> None:
    world.fault(action="ecs:CreateCluster", times=2, error=code)
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            world.ecs.create_cluster(clusterName=CLUSTER)
        text = refused.value.response
        assert (text["Error"]["Code"], text["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
        assert words in text["Error"]["Message"]
    assert world.ecs.list_clusters()["clusterArns"] == []
    world.ecs.create_cluster(clusterName=CLUSTER)
    assert [call["error"] for call in world.calls()] == [code, code, None, None]


def test_a_denied_call_names_the_permission_and_the_resource(world: World) -> None:
    world.fault(action="UpdateService", error="AccessDeniedException")
    with pytest.raises(ClientError) as refused:
        world.ecs.update_service(cluster=CLUSTER, service=SERVICE)
    assert refused.value.response["Error"]["Message"] == (
        "User: arn:aws:sts::123456789012:assumed-role/runbook/session is not authorized to perform: "
        "ecs:UpdateService on resource: arn:aws:ecs:us-east-1:123456789012:service/shop/web because no "
        "identity-based policy allows the ecs:UpdateService action"
    )


@pytest.mark.parametrize(
    ("client", "operation", "permission"),
    [
        ("elbv2", "describe_target_groups", "elasticloadbalancing:DescribeTargetGroups"),
        ("cloudwatch", "list_metrics", "cloudwatch:ListMetrics"),
        ("logs", "describe_log_groups", "logs:DescribeLogGroups"),
        ("application-autoscaling", "describe_scalable_targets", "application-autoscaling:DescribeScalableTargets"),
        ("servicediscovery", "list_namespaces", "servicediscovery:ListNamespaces"),
        ("rds", "describe_db_instances", "rds:DescribeDBInstances"),
    ],
)  # fmt: skip
def test_a_denied_call_of_each_service_has_the_prefix_of_iam_which_a_fault_may_use_too(
    world: World, client: str, operation: str, permission: str
) -> None:
    world.fault(action=permission, error="AccessDenied")
    arguments = {"ServiceNamespace": "ecs"} if client == "application-autoscaling" else {}
    with pytest.raises(ClientError, match=f"not authorized to perform: {permission} on resource"):
        getattr(world.client(client), operation)(**arguments)


def test_a_fault_of_another_service_or_action_is_not_met(world: World) -> None:
    world.fault(action="logs:CreateCluster", error="ServerException")
    world.fault(action="DeleteCluster", error="ServerException")
    created = world.ecs.create_cluster(clusterName=CLUSTER)
    assert created["cluster"]["status"] == "ACTIVE"


def test_faults_that_are_still_to_come_are_listed_and_cleared(world: World) -> None:
    faults = f"{world.url}/_sandbox/faults"
    world.fault(action="DeleteCluster", times=2, error="ServerException")
    with pytest.raises(ClientError, match="ServerException"):
        world.ecs.delete_cluster(cluster=CLUSTER)
    left = {"action": "DeleteCluster", "times": 1, "error": "ServerException"}
    assert httpx.get(faults).json() == [left | {"delay_seconds": 0.0, "lose_reply": False}]
    assert httpx.delete(faults).json() == []
    world.ecs.create_cluster(clusterName=CLUSTER)
    assert world.ecs.delete_cluster(cluster=CLUSTER)["cluster"]["status"] == "INACTIVE"


def test_a_lost_reply_is_applied_and_logged_but_the_connection_just_ends(world: World) -> None:
    world.fault(action="CreateCluster", times=1, lose_reply=True)
    with pytest.raises(ConnectionClosedError):
        world.ecs.create_cluster(clusterName=CLUSTER)
    assert world.calls()[0]["error"] is None
    assert len(world.ecs.list_clusters()["clusterArns"]) == 1


def test_a_delayed_call_lands_late_even_when_its_caller_gave_up(world: World) -> None:
    world.fault(action="CreateCluster", times=1, delay_seconds=1.0)
    impatient = world.client("ecs", read_timeout=0.2)
    with pytest.raises(ReadTimeoutError):
        impatient.create_cluster(clusterName=CLUSTER)
    assert world.ecs.list_clusters()["clusterArns"] == []
    assert actions(world) == ["ListClusters"]
    world.until(lambda: world.ecs.list_clusters()["clusterArns"])
    assert "CreateCluster" in actions(world)


def test_a_delayed_call_is_answered_to_a_caller_who_waits(world: World) -> None:
    world.fault(action="CreateCluster", delay_seconds=0.3)
    began = time.monotonic()
    world.ecs.create_cluster(clusterName=CLUSTER)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"action": "UpdateService"},
        {"action": "UpdateService", "error": "X", "lose_reply": True},
        {"action": "UpdateService", "error": "X", "times": 0},
        {"action": "UpdateService", "delay_seconds": "long"},
        {"action": "UpdateService", "error": 500},
        {"action": "UpdateService", "delay_seconds": 1e300},
        {"action": "UpdateService", "lose_reply": "yes"},
        {"action": "UpdateService", "error": "X", "colour": "red"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_what_to_write(
    world: World, fault: dict[str, object]
) -> None:
    answer = world.fault(**fault)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("request_line", [("PUT", "faults"), ("POST", "calls"), ("GET", "call")])
def test_a_switch_that_is_not_there_is_no_call_of_aws(world: World, request_line: tuple[str, str]) -> None:
    method, name = request_line
    assert httpx.request(method, f"{world.url}/_sandbox/{name}").status_code == 404
    assert world.calls() == []


def test_calls_beyond_the_burst_are_throttled(world: World) -> None:
    client = world.client("ecs", max_pool_connections=10)

    def register(_: int) -> str | None:
        try:
            client.register_task_definition(
                family="web", containerDefinitions=[{"name": "a", "image": "a:1", "memory": 8}]
            )
        except client.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])
        return None

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(register, range(40)))
    assert answers.count(None) in {20, 21, 22}
    assert set(answers) == {None, "ThrottlingException"}


def test_a_bucket_refills_at_its_sustained_rate() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for seconds, admitted in ((0.0, 50), (2.0, 10), (1000.0, 50)):
        now[0] += seconds
        for _ in range(admitted):
            throttle.admit("UpdateService")
        with pytest.raises(ApiError, match="ThrottlingException: Rate exceeded"):
            throttle.admit("UpdateService")
    throttle.admit("DescribeServices")


def test_what_is_not_simulated_reaches_moto_and_is_logged_by_its_client_s_name(with_moto: World) -> None:
    world = with_moto
    world.client("logs").create_log_group(logGroupName="/ecs/shop")
    world.client("sts").get_caller_identity()
    world.client("s3").create_bucket(Bucket="plans")
    world.client("s3").put_object(Bucket="plans", Key="a/b c", Body=b"\x00plan")
    assert world.client("s3").get_object(Bucket="plans", Key="a/b c")["Body"].read() == b"\x00plan"
    metric = {"MetricName": "CPUUtilization", "Value": 0.5}
    world.client("cloudwatch").put_metric_data(Namespace="AWS/ECS", MetricData=[metric])
    with pytest.raises(ClientError):
        world.client("logs").get_log_events(logGroupName="none", logStreamName="none")
    made = [(call["service"], call["action"], call["error"]) for call in world.calls()]

    assert made == [
        ("logs", "CreateLogGroup", None),
        ("sts", "GetCallerIdentity", None),
        ("s3", "CreateBucket", None),
        ("s3", "PutObject", None),
        ("s3", "GetObject", None),
        ("cloudwatch", "PutMetricData", None),
        ("logs", "GetLogEvents", "ResourceNotFoundException"),
    ]
    assert world.calls()[0]["parameters"] == {"logGroupName": "/ecs/shop"}
    assert world.calls()[5]["parameters"]["Namespace"] == "AWS/ECS"


def test_moto_bound_calls_meet_faults_in_their_own_protocol(with_moto: World) -> None:
    for service, action in (
        ("sts", "get_caller_identity"),
        ("logs", "describe_log_groups"),
        ("s3", "list_buckets"),
    ):
        name = "".join(part.title() for part in action.split("_"))
        with_moto.fault(action=f"{service}:{name}", error="AccessDeniedException")
        with pytest.raises(ClientError) as refused:
            getattr(with_moto.client(service), action)()
        assert refused.value.response["Error"]["Code"] == "AccessDeniedException", service
        assert f"{service}:{name}" in refused.value.response["Error"]["Message"]


def test_without_moto_other_services_are_refused_with_the_reason(world: World) -> None:
    with pytest.raises(ClientError, match="rds is not part of this sandbox"):
        world.client("rds").describe_db_instances()


def test_a_client_with_retries_gets_through_passing_faults(world: World) -> None:
    world.fault(action="CreateCluster", times=2, error="ThrottlingException")
    patient = boto3.client(
        "ecs",
        endpoint_url=world.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 5, "mode": "standard"}),
    )
    assert patient.create_cluster(clusterName=CLUSTER)["cluster"]["status"] == "ACTIVE"
    assert len(world.calls()) == 3
