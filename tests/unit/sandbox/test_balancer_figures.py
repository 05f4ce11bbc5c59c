"""What CloudWatch shows of a load balancer: when, and by which statistic."""

from types import SimpleNamespace

import pytest

from sandbox.aws.calls import Call
from sandbox.aws.elbv2 import SimulatedBalancing
from sandbox.aws.metric_data import is_ours, metric_data
from sandbox.balancing.figures import LAG_SECONDS, PERIOD_SECONDS, Figures, statistic
from sandbox.ecs.names import ApiError

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop/0123456789abcdef"
START = 1_800_000_000


class Clock:
    now = float(START)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def figures(clock):
    return Figures(clock)


@pytest.fixture
def balancing(figures):
    service = SimpleNamespace(
        cluster=SimpleNamespace(name="c"),
        name="shop",
        status="ACTIVE",
        config={"loadBalancers": [{"targetGroupArn": ARN}]},
    )
    return SimulatedBalancing(lambda: [service], {("c", "shop"): SimpleNamespace(figures=figures)})


def asked(balancing, metric, stat, *, period=5, group=True, **more):
    found = balancing.groups()[0]
    dimensions = [{"Name": "LoadBalancer", "Value": found.balancer_dimension}]
    if group:
        dimensions.append({"Name": "TargetGroup", "Value": found.dimension})
    stated = {"Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": dimensions}
    query = {"Id": "q", "MetricStat": {"Metric": stated, "Period": period, "Stat": stat}}
    parameters = {"MetricDataQueries": [query], "StartTime": START, "EndTime": START + 60, **more}
    call = Call("cloudwatch", "GetMetricData", parameters, internal=False)
    assert is_ours(call)
    (result,) = metric_data(balancing, call)["MetricDataResults"]
    return list(zip(result["Timestamps"], result["Values"], strict=True))


def test_a_period_is_published_some_seconds_after_its_end(figures, clock, balancing):
    figures.forwarded(200, 0.1)
    clock.now = START + PERIOD_SECONDS + LAG_SECONDS - 0.1
    assert asked(balancing, "RequestCount", "Sum") == []
    clock.now += 0.1
    assert asked(balancing, "RequestCount", "Sum") == [(START, 1.0)]


def test_there_is_no_figure_of_zero_failures(figures, clock, balancing):
    figures.forwarded(200, 0.1)
    clock.now += 20
    assert asked(balancing, "HTTPCode_Target_5XX_Count", "Sum") == []


def test_refused_connections_are_neither_requests_nor_failures_of_the_target(figures, clock, balancing):
    figures.failed(502, chosen=False, refused=True)
    clock.now += 20
    assert asked(balancing, "RequestCount", "Sum") == []
    assert asked(balancing, "HTTPCode_Target_5XX_Count", "Sum") == []
    assert asked(balancing, "TargetConnectionErrorCount", "Sum") == [(START, 1.0)]
    assert asked(balancing, "HTTPCode_ELB_502_Count", "Sum", group=False) == [(START, 1.0)]


def test_what_the_balancer_answered_itself_is_not_a_figure_of_the_group(figures, clock, balancing):
    figures.failed(503, chosen=False)
    clock.now += 20
    assert asked(balancing, "HTTPCode_ELB_503_Count", "Sum") == []


def test_points_come_newest_first_unless_asked_otherwise(figures, clock, balancing):
    figures.hosts(2, 0)
    clock.now += 5
    figures.hosts(1, 1)
    clock.now += 20
    assert asked(balancing, "HealthyHostCount", "Minimum") == [(START + 5, 1.0), (START, 2.0)]
    ascending = asked(balancing, "HealthyHostCount", "Minimum", ScanBy="TimestampAscending")
    assert ascending == [(START, 2.0), (START + 5, 1.0)]


class TestServiceConnect:
    @pytest.fixture
    def balancing(self, figures):
        connect = {"enabled": True, "services": [{"portName": "http", "discoveryName": "shop-api"}]}
        service = SimpleNamespace(
            cluster=SimpleNamespace(name="c"),
            name="shop",
            status="ACTIVE",
            config={"serviceConnectConfiguration": connect},
        )
        return SimulatedBalancing(lambda: [service], {("c", "shop"): SimpleNamespace(figures=figures)})

    def asked(self, balancing, metric, stat="Sum", **dimensions):
        named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
        stated = {"Namespace": "AWS/ECS", "MetricName": metric, "Dimensions": named}
        query = {"Id": "q", "MetricStat": {"Metric": stated, "Period": 5, "Stat": stat}}
        parameters = {"MetricDataQueries": [query], "StartTime": START, "EndTime": START + 60}
        call = Call("cloudwatch", "GetMetricData", parameters, internal=False)
        assert is_ours(call)
        return metric_data(balancing, call)["MetricDataResults"][0]["Values"]

    def test_requests_are_the_service_s_and_answers_the_name_s(self, figures, clock, balancing):
        for status in (200, 200, 404, 500):
            figures.forwarded(status, 0.1)
        figures.failed(502, chosen=False, refused=True)
        clock.now += 20
        own = {"ServiceName": "shop", "ClusterName": "c", "DiscoveryName": "shop-api"}
        name = {"TargetDiscoveryName": "shop-api"}
        assert self.asked(balancing, "RequestCount", **own) == [4.0]
        counts = [self.asked(balancing, f"HTTPCode_Target_{kind}XX_Count", **name) for kind in (2, 3, 4, 5)]
        assert counts == [[2.0], [], [1.0], [1.0]]
        assert self.asked(balancing, "TargetResponseTime", "p95", **name) == [100.0]

    @pytest.mark.parametrize(
        ("metric", "dimensions"),
        [
            ("RequestCount", {"DiscoveryName": "shop-api", "ServiceName": "other", "ClusterName": "c"}),
            ("RequestCount", {"TargetDiscoveryName": "shop-api"}),
            (
                "HTTPCode_Target_2XX_Count",
                {"TargetDiscoveryName": "shop-api", "ServiceName": "shop", "ClusterName": "c"},
            ),
            ("HTTPCode_Target_2XX_Count", {"TargetDiscoveryName": "other"}),
        ],
    )
    def test_there_are_no_others(self, figures, clock, balancing, metric, dimensions):
        figures.forwarded(200, 0.1)
        clock.now += 20
        assert self.asked(balancing, metric, **dimensions) == []


def test_a_percentile_is_of_all_values_of_the_period():
    values = [0.1] * 94 + [2.0] * 6
    assert statistic("p95", values) == 2.0
    assert statistic("p50", values) == 0.1


def test_periods_that_cloudwatch_does_not_have_are_refused(balancing):
    with pytest.raises(ApiError, match="Period"):
        asked(balancing, "RequestCount", "Sum", period=7)


def test_a_query_of_another_namespace_is_moto_s(balancing):
    stat = {"Metric": {"Namespace": "AWS/ECS", "MetricName": "CPUUtilization"}, "Period": 60, "Stat": "Sum"}
    parameters = {"MetricDataQueries": [{"Id": "q", "MetricStat": stat}]}
    assert not is_ours(Call("cloudwatch", "GetMetricData", parameters, internal=False))
