"""The sandbox's service whose deployments shift traffic, on real processes: requests really are split, and come back."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.sandbox_under_test import running_sandbox, until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("strategies")]
CLUSTER, SERVICE = "ai-processor-staging", "ai-processor-service-bluegreen"
NAMED = {"cluster": CLUSTER, "service": SERVICE}
TEST = {"x-amzn-ecs-blue-green-test": "1"}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}
STRATEGIES = {
    "BLUE_GREEN": ({"strategy": "BLUE_GREEN"}, [0, 100]),
    "LINEAR": (
        {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 25.0, "stepBakeTimeInMinutes": 0}},
        [0, 25, 50, 75, 100],
    ),
    "CANARY": (
        {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 0}},
        [0, 10, 100],
    ),
}


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox("--no-load", "--no-prometheus", "--strategies") as running:
        yield running


def answered_by(sandbox, url, times=20, **headers):
    """Return how many requests each version answered."""
    answers = [
        sandbox.http.post(f"{url}/api/v1/process", json={"test": "data"}, headers=headers)
        for _ in range(times)
    ]
    return Counter(answer.json().get("version") for answer in answers)


@pytest.mark.parametrize(("strategy", "number"), [(name, at) for at, name in enumerate(STRATEGIES, start=1)])
def test_a_release_gets_its_shares_of_the_requests_and_a_stop_takes_them_back(sandbox, strategy, number):
    ecs, elb = sandbox.aws("ecs"), sandbox.aws("elbv2")
    url = sandbox.addresses.services["bluegreen"]["staging"]
    configuration, shares = STRATEGIES[strategy]
    version = f"2.{number}.0"
    hooks = {"lifecycleHooks": [PAUSE], "bakeTimeInMinutes": 1440}
    ecs.update_service(**NAMED, deploymentConfiguration={**configuration, **hooks})
    sandbox.deploy("staging", version, service="bluegreen")

    def deployment():
        arn = ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0][
            "currentServiceDeployment"
        ]
        return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def waits():
        return [hook for hook in deployment()["lifecycleHookDetails"] if hook["status"] == "AWAITING_ACTION"]

    def weight():
        """The new revision's share of production traffic, by the rule."""
        found = deployment()
        arn = found["targetServiceRevision"]["arn"]
        (revision,) = ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"]
        (group,) = revision["resolvedConfiguration"]["loadBalancers"]
        (rule,) = elb.describe_rules(RuleArns=[group["productionListenerRule"]])["Rules"]
        weights = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
        return next(item["Weight"] for item in weights if item["TargetGroupArn"] == group["targetGroupArn"])

    for step, share in enumerate(shares[:-1]):
        (hook,) = until(waits)
        assert weight() == share
        assert answered_by(sandbox, url)[version] == share / 5
        if step == 0:
            assert answered_by(sandbox, url, **TEST) == {version: 20}
        arn = deployment()["serviceDeploymentArn"]
        ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook["hookId"])
        until(lambda hook=hook: hook["hookId"] not in [item["hookId"] for item in waits()])
    until(lambda: weight() == 100)
    assert answered_by(sandbox, url) == {version: 20}

    ecs.stop_service_deployment(serviceDeploymentArn=deployment()["serviceDeploymentArn"])
    until(lambda: weight() == 0)
    assert answered_by(sandbox, url) == {"1.0.0": 20}
    until(lambda: deployment()["status"] == "ROLLBACK_SUCCESSFUL")


def test_each_target_group_has_targets_and_figures_of_its_own(sandbox):
    elb, cloudwatch = sandbox.aws("elbv2"), sandbox.aws("cloudwatch")
    url = sandbox.addresses.services["bluegreen"]["prod"]
    groups = [
        group
        for group in elb.describe_target_groups()["TargetGroups"]
        if group["TargetGroupName"].startswith("ai-processor-bluegreen-prod")
    ]
    ((balancer,),) = {tuple(group["LoadBalancerArns"]) for group in groups}
    health = [elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"]) for group in groups]
    states = [
        [item["TargetHealth"]["State"] for item in found["TargetHealthDescriptions"]] for found in health
    ]
    assert sorted(states) == [[], ["healthy", "healthy"]]

    def requests(group):
        dimensions = {
            "LoadBalancer": balancer.partition("loadbalancer/")[2],
            "TargetGroup": group["TargetGroupArn"].rpartition(":")[2],
        }
        metric = {
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "RequestCount",
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        }
        now = datetime.now(UTC)
        query = {"Id": "requests", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
        found = cloudwatch.get_metric_data(
            MetricDataQueries=[query], StartTime=now - timedelta(hours=1), EndTime=now
        )
        return sum(found["MetricDataResults"][0]["Values"])

    answered_by(sandbox, url)
    until(lambda: sorted(requests(group) for group in groups) == [0, 20])
