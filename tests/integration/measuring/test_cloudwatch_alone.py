"""Services of which the catalog says no more than cluster and name: CloudWatch and the target groups tell the rest."""

import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from runbook_model.reports import State
from tests.integration.rollback.rollback_stage import seen
from tests.sandbox_under_test import until

pytestmark = pytest.mark.rare
BALANCER = {"containerName": "app", "containerPort": 8080}
NAMESPACES = {"load-balancer": "AWS/ApplicationELB", "service-connect": "AWS/ECS"}
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup"


@contextmanager
def used(shop, requests_per_second=25):
    """Send a service requests until the test is over, whatever it answers."""
    over = threading.Event()

    def send():
        with httpx.Client(timeout=5) as http:
            address = shop.url
            while not over.wait(1 / requests_per_second):
                with suppress(httpx.HTTPError):
                    http.post(f"{address}/api/v1/process", json={"test": "data"})

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        over.set()
        sending.join()


def open_by(stage, source, number):
    """Open a service on its first release, which CloudWatch counts requests of by one source alone."""
    group = {"targetGroupArn": f"{ARN}/plain-{number}/0123456789abcde{number}"}
    connect = {
        "enabled": True,
        "namespace": "shops",
        "services": [{"portName": "http", "discoveryName": f"plain-{number}"}],
    }
    ways = {
        "load-balancer": {"loadBalancers": [BALANCER | group]},
        "service-connect": {"serviceConnectConfiguration": connect},
    }
    return stage.open_shop("plain", "1.0.0", url=False, desired=2, **ways[source])


def figures_of(shop, metric, periods=4):
    """Wait until CloudWatch has a figure of a service for so many periods."""
    service, cloudwatch = shop.service(), shop.stage.world.aws("cloudwatch")
    balancers = [item["targetGroupArn"] for item in service["loadBalancers"]]
    dimensions = (
        of_a_group(shop, balancers[0])
        if balancers
        else of_a_name(shop, service["deployments"][0]["serviceConnectConfiguration"], metric)
    )
    query = {
        "Metric": {
            "Namespace": NAMESPACES["load-balancer" if balancers else "service-connect"],
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        },
        "Period": 5,
        "Stat": "Sum",
    }

    def seen():
        now = datetime.now(UTC)
        found = cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "q", "MetricStat": query}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now,
        )
        return sum(len(item["Values"]) for item in found["MetricDataResults"]) >= periods

    until(seen)


def of_a_group(shop, arn):
    elb = shop.stage.world.aws("elbv2")
    (balancer,) = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["LoadBalancerArns"]
    return {"LoadBalancer": balancer.partition(":loadbalancer/")[2], "TargetGroup": arn.rpartition(":")[2]}


def of_a_name(shop, configuration, metric):
    name = configuration["services"][0]["discoveryName"]
    if metric == "RequestCount":
        return {"DiscoveryName": name, "ServiceName": shop.ecs_service, "ClusterName": shop.cluster}
    return {"TargetDiscoveryName": name}


async def test_an_outage_is_found_put_right_and_seen_to_be_over(stage):
    shop = open_by(stage, "load-balancer", 1)
    with used(shop):
        figures_of(shop, "RequestCount")
        shop.deploy("1.1.0", FAULT_ERROR_RATE=0.3)
        shop.until_ended()
        figures_of(shop, "HTTPCode_Target_5XX_Count")
        ended = await shop.cli.start("--wait", "--json", "--reason", "errors")
    assert (ended.code, ended.json["outcome"]) == (0, "recovered"), ended.err
    assert shop.runs() == f"{shop.name}:1"
    assert shop.changes() == ["UpdateService"]
    readings = [item for item in ended.json["readings"] if item["kind"] in {"health", "error-rate"}]
    assert {item["source"] for item in readings} == {"load-balancer"}
    rates = [item for item in readings if item["kind"] == "error-rate"]
    assert (rates[0]["quality"], rates[-1]["quality"]) == ("bad", "good")


@contextmanager
def with_a_bad_release(shop):
    """Have a release fail requests that CloudWatch has counted long enough."""
    with used(shop):
        figures_of(shop, "RequestCount", periods=16)
        shop.deploy("1.1.0", FAULT_ERROR_RATE=0.3)
        shop.until_ended()
        figures_of(shop, "HTTPCode_Target_5XX_Count", periods=10)
        yield ("start", "high-error-rate", "--service", shop.name, "--environment", "plain", "--json")


async def test_the_cause_is_found_in_the_load_balancer_s_figures_alone(stage):
    shop = open_by(stage, "load-balancer", 3)
    with with_a_bad_release(shop) as start:
        ended = await shop.cli(*start, "--wait", "--reason", "errors")
    assert (ended.code, ended.json["outcome"]) == (0, "recovered"), ended.err
    assert shop.runs() == f"{shop.name}:1"
    assert shop.changes() == ["UpdateService"]
    cause = ended.json["findings"][0]
    assert cause.startswith(f"bad-release: errors started with {shop.name}:2: 0.0 % before it"), cause
    rates = [item for item in ended.json["readings"] if item["kind"] == "error-rate"]
    assert {item["source"] for item in rates} == {"load-balancer"}
    assert rates[-1]["quality"] == "good"
    seen = (cause.partition(": ")[2], rates[0]["detail"], rates[-1]["detail"], ended.json["outcome"])
    print(f"| load-balancer | {' | '.join(seen)} |")  # noqa: T201 - the table's row


async def test_service_connect_alone_finds_the_cause_too_and_a_person_says_whether_it_is_over(stage):
    shop = open_by(stage, "service-connect", 3)
    with with_a_bad_release(shop) as start:
        assert (await shop.cli(*start, "--reason", "errors")).code == 0
        run = stage.client.get_workflow_handle(shop.id)
        report = await seen(run, lambda report: report.state is State.AWAITING_APPROVAL)
        assert report.checkpoint.question == "Recovery is not verified: how to continue?"
        await shop.cli("abort", shop.short, "--reason", "the test is over", "--keep")
        ended = await run.result()
    assert shop.changes() == ["UpdateService"]
    assert ended["findings"][0].startswith(f"bad-release: errors started with {shop.name}:2: 0.0 % before it")
    rates = [item for item in ended["readings"] if item["kind"] == "error-rate"]
    assert {item["source"] for item in rates} == {"service-connect"}
    assert "nothing asks for its health" in rates[-1]["detail"]
    assert ended["verdict"] != "recovered"


async def test_a_service_that_refuses_connections_is_never_called_recovered(stage):
    shop = open_by(stage, "load-balancer", 2)
    shop.deploy("1.1.0", FAULT_REFUSE_AFTER_SECONDS=6)
    shop.until_ended()
    shop.deploy("1.2.0", FAULT_ERROR_RATE=0.3)
    shop.until_ended()
    with used(shop):
        started = await shop.cli.start("--json", "--to", "1.1.0", "--reason", "errors")
        assert started.code == 0, started.err
        run = stage.client.get_workflow_handle(shop.id)
        report = await seen(run, lambda report: report.state is State.AWAITING_APPROVAL)
        assert report.checkpoint.question == "Recovery is not verified: how to continue?"
        await shop.cli("abort", shop.short, "--reason", "the test is over", "--keep")
        ended = await run.result()
    assert ended["verdict"] != "recovered"
