"""The shared world is up: every address answers, the names are the contract's, and load flows when it is wanted."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from runbook_model.catalog.catalog import load_catalog
from tests.sandbox_under_test import until

ENVIRONMENTS = ["staging", "prod"]


def test_the_addresses_are_those_of_the_contract(world):
    addresses = world.addresses
    host, _, port = addresses.temporal.partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    urls = [addresses.ui, addresses.aws, addresses.prometheus, *addresses.service.values()]
    assert all(url.startswith("http://127.0.0.1:") and not url.endswith("/") for url in urls)
    assert set(addresses.service) == {"staging", "prod"}
    expected = {
        "TEMPORAL_ADDRESS": addresses.temporal,
        "RUNBOOK_CATALOG": addresses.catalog,
        "AWS_ENDPOINT_URL": addresses.aws,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    }
    assert expected.items() <= addresses.env.items()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_service_answers_through_its_load_balancer(world, environment):
    url = world.addresses.service[environment]
    assert world.http.get(f"{url}/health").json()["status"] == "healthy"
    assert "http_requests_total" in world.http.get(f"{url}/metrics").text
    assert world.http.post(f"{url}/api/v1/process", json={"test": "data"}).json()["status"] == "processed"


def test_the_ui_answers(world):
    assert world.http.get(world.addresses.ui, follow_redirects=True).status_code == 200


async def test_temporal_knows_the_products_search_attributes(world):
    client = await Client.connect(world.addresses.temporal)
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    assert set(known.custom_attributes) >= {
        "RunbookService", "RunbookEnvironment", "RunbookProcedure",
        "RunbookSeverity", "RunbookState", "RunbookOutcome",
    }  # fmt: skip


@pytest.mark.parametrize(("environment", "breaker"), [("staging", False), ("prod", True)])
def test_each_service_runs_two_tasks_with_its_own_circuit_breaker(world, environment, breaker):
    service = world.service(environment)
    assert service["desiredCount"] == 2
    assert service["clusterArn"].endswith(f"cluster/ai-processor-{environment}")
    configuration = service["deploymentConfiguration"]
    assert (configuration["minimumHealthyPercent"], configuration["maximumPercent"]) == (100, 200)
    settings = configuration["deploymentCircuitBreaker"]
    assert (settings["enable"], settings["rollback"]) == (breaker, breaker)


def test_the_catalog_names_what_runs(world):
    catalog = load_catalog(Path(world.addresses.catalog))
    for environment in ENVIRONMENTS:
        target = catalog.target("ai-processor", environment)
        assert target.url == world.addresses.service[environment]
        assert target.prometheus_url == world.addresses.prometheus
    local = catalog.target("ai-processor", "local")
    assert world.http.get(f"{local.url}/health").json()["status"] == "healthy"
    assert local.prometheus_url == world.addresses.prometheus


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_prometheus_sees_the_load_by_release(world, environment):
    query = f'sum by (release) (rate(http_requests_total{{service="ai-processor",environment="{environment}"}}[10s]))'
    family = f"ai-processor-{environment}:"
    with world.under_load(environment):
        rates = until(lambda: [item for item in world.query(query) if item[1] > 10])
    assert all(labels["release"].startswith(family) for labels, _ in rates)


@pytest.mark.parametrize("metric", ["CPUUtilization", "MemoryUtilization"])
def test_cloudwatch_has_the_services_utilization(world, metric):
    cloudwatch = world.aws("cloudwatch")

    def average():
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/ECS",
            MetricName=metric,
            Dimensions=[
                {"Name": "ClusterName", "Value": "ai-processor-prod"},
                {"Name": "ServiceName", "Value": "ai-processor-service-prod"},
            ],
            StartTime=now - timedelta(minutes=5),
            EndTime=now,
            Period=60,
            Statistics=["Average"],
        )["Datapoints"]
        return points and points[0]["Average"]

    assert 0 < until(average) < 60


def test_cloudwatch_has_the_figures_of_the_load_balancer(world):
    arn = world.service("prod")["loadBalancers"][0]["targetGroupArn"]
    elb = world.aws("elbv2")
    health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [item["TargetHealth"]["State"] for item in health] == ["healthy", "healthy"]
    (balancer,) = elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["LoadBalancerArns"]
    dimensions = [
        {"Name": "LoadBalancer", "Value": balancer.partition(":loadbalancer/")[2]},
        {"Name": "TargetGroup", "Value": arn.rpartition(":")[2]},
    ]
    wanted = {"RequestCount": "Sum", "TargetResponseTime": "p95", "HealthyHostCount": "Minimum"}
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": dimensions},
                "Period": 5,
                "Stat": stat,
            },
        }
        for number, (name, stat) in enumerate(wanted.items())
    ]

    def newest():
        now = datetime.now(UTC)
        found = world.aws("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=now - timedelta(minutes=1), EndTime=now
        )["MetricDataResults"]
        return all(item["Values"] for item in found) and [item["Values"][0] for item in found]

    with world.under_load("prod"):
        requests, p95, healthy = until(newest)
    assert requests > 0
    assert 0 < p95 < 1
    assert healthy == 2


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_tasks_output_is_in_their_log_streams(world, environment):
    logs, ecs = world.aws("logs"), world.aws("ecs")
    cluster, group = f"ai-processor-{environment}", f"/ecs/ai-processor-{environment}"
    task_ids = {arn.rpartition("/")[2] for arn in ecs.list_tasks(cluster=cluster)["taskArns"]}

    def streams():
        return {
            stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        }

    until(lambda: {f"app/app/{task_id}" for task_id in task_ids} <= streams())
    events = logs.filter_log_events(logGroupName=group)["events"]
    assert any('"message": "started"' in event["message"] for event in events)


def test_the_sandboxs_own_set_up_is_not_in_the_call_log(world):
    assert world.calls("CreateCluster", "CreateService") == []


def test_the_load_can_be_turned_off_and_on_again(world):
    shown = f"{world.addresses.aws}/_sandbox/load"
    with world.under_load("staging"):
        assert world.http.get(shown).json()["staging"] == 25
    assert world.http.get(shown).json()["staging"] == 0
    refused = world.http.post(shown, json={"environment": "moon", "requests_per_second": 1})
    assert refused.status_code == 400
    assert "staging, prod" in refused.json()["error"]
