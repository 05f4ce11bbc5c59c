"""What Service Connect's figures in CloudWatch say, as botocore's models of ECS and CloudWatch have them."""

from datetime import timedelta

import pytest
from botocore.stub import ANY, Stubber

from activities.doctor.looking import look
from activities.doctor.service import ServiceLook, read_balancers
from activities.measuring.balanced import measure_load
from activities.measuring.instruments import Instruments
from activities.measuring.sources import Sources
from runbook_model.catalog.service_policies import Verify
from runbook_model.measured.balancing import ConnectFigures, NameFigures, errors_of_answers, p95_of_answers
from runbook_model.measured.evidence import Points
from runbook_model.measured.measurements import Measurement, error_reading, latency_reading
from runbook_model.measured.publishing import published
from tests.aws_answers import HERE, Ecs, service
from tests.observing import NOW, B, G, N, a_target, an_observation

GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop/0123456789abcdef"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/front/fedcba9876543210"
MINUTES = Verify(rate_window=timedelta(minutes=5))
WINDOW = published(MINUTES, NOW)
ASKED = Measurement(
    quality="no-data", source="service-connect", query="q", at=NOW, window=timedelta(minutes=5)
)
ALONE = {
    "evidence": ("load-balancer", "service-connect"),
    "url": None,
    "prometheus_url": None,
    "release_label": None,
    "verify": MINUTES,
}


def points(count) -> Points:
    return ((WINDOW.begin.timestamp() + 60, float(count)),) if count else ()


def figures(requests=500, ok=500, failed=0, p95=None, **more):
    value = () if p95 is None else ((WINDOW.begin.timestamp(), p95),)
    name = NameFigures(
        requests=points(requests), answers_2xx=points(ok), answers_5xx=points(failed), p95=value, **more
    )
    return ConnectFigures(names=(name,))


def judged(found, tasks=(2, 2), *, health=True):
    measured = errors_of_answers(ASKED, found, WINDOW, tasks, 50, health=health)
    return error_reading(measured, None, a_target(), NOW)


class TestErrors:
    @pytest.mark.parametrize(
        ("found", "quality", "detail"),
        [
            (figures(), G, "0.0 % of 500 requests failed (limit 10 %)"),
            (figures(ok=400, failed=100), B, "20.0 % of 500 requests failed (limit 10 %)"),
            (figures(ok=480, failed=10), G, "2.0 % of 490 requests failed (limit 10 %)"),
            (
                figures(answers_3xx=points(300), answers_4xx=points(100), ok=50, failed=50),
                G,
                "10.0 % of 500 requests failed (limit 10 %)",
            ),
            (figures(requests=20, ok=20), N, "20 requests in 5m, 50 are needed"),
            (figures(requests=0, ok=0), N, "0 requests in 5m, 50 are needed"),
            (ConnectFigures(why="CloudWatch answered Forbidden"), N, "CloudWatch answered Forbidden"),
        ],
    )
    def test_answers_by_status_say_which_requests_failed(self, found, quality, detail):
        reading = judged(found)
        assert reading.quality is quality
        assert reading.detail.startswith(detail)

    def test_requests_without_an_answer_that_is_known_are_not_good(self):
        reading = judged(figures(requests=500, ok=300))
        assert reading.quality is N
        assert "200 more requests with no answer that is known" in reading.detail

    def test_they_do_not_hide_that_the_others_fail(self):
        assert judged(figures(requests=500, ok=200, failed=100)).quality is B

    @pytest.mark.parametrize("requests", [0, 300])
    def test_more_answers_than_requests_may_be_another_service_s(self, requests):
        reading = judged(figures(requests=requests, ok=400, failed=100))
        assert reading.quality is N
        assert "another service may have the same discovery name" in reading.detail

    def test_requests_of_which_no_caller_s_proxy_counted_an_answer_say_nothing(self):
        reading = judged(figures(ok=0))
        assert reading.quality is N
        assert reading.detail == "500 requests reached the service, and no caller's proxy counted an answer"

    def test_good_needs_that_all_tasks_run(self):
        reading = judged(figures(), tasks=(1, 2))
        assert (reading.quality, "1 of 2 tasks run" in reading.detail) == (N, True)

    def test_discovery_names_are_added_up(self):
        names = figures().names + figures(ok=400, failed=100).names
        assert judged(ConnectFigures(names=names)).value == 0.1

    def test_alone_they_are_never_good_since_refused_connections_are_in_none_of_them(self):
        reading = judged(figures(), health=False)
        assert reading.quality is N
        assert "nothing asks for its health: give its url" in reading.detail
        assert judged(figures(ok=400, failed=100), health=False).quality is B


class TestLatency:
    def measured(self, *found):
        names = tuple(name for item in found for name in item.names)
        return p95_of_answers(ASKED, ConnectFigures(names=names), WINDOW, None, 50)

    def test_milliseconds_are_seconds_and_the_slowest_name_counts(self):
        found = self.measured(figures(p95=120.0), figures(p95=6400.0))
        assert found.value == 6.4
        assert latency_reading(found, None, a_target(), NOW).quality is B

    def test_a_percentile_that_cloudwatch_does_not_have_is_not_known(self):
        found = self.measured(figures())
        assert (found.value, found.why) == (None, "CloudWatch has no p95 of the whole window")

    def test_that_of_another_service_s_answers_is_not_known_either(self):
        assert self.measured(figures(requests=100, p95=120.0)).value is None


class Aws:
    """The product's clients: ECS has a service in Service Connect, CloudWatch a test's figures; no other call is answered."""

    def __init__(
        self, values=None, *, group=False, configuration=None, resources=("shop-api",), status="Complete"
    ):
        self.ecs = Ecs()
        self.clients = self.ecs.clients
        self.elb, self.cloudwatch = Stubber(self.clients.elb(HERE)), Stubber(self.clients.cloudwatch(HERE))
        balancer = {"targetGroupArn": GROUP, "containerName": "app", "containerPort": 8080}
        found = service(loadBalancers=[balancer] if group else [], desiredCount=2, runningCount=2)
        found["deployments"][0]["serviceConnectConfiguration"] = configuration or {
            "enabled": True,
            "namespace": "shops",
            "services": [{"portName": "http"}],
        }
        found["deployments"][0]["serviceConnectResources"] = [{"discoveryName": name} for name in resources]
        self.ecs.answers("describe_services", {"services": [found]})
        if group:
            about = [{"TargetGroupArn": GROUP, "LoadBalancerArns": [BALANCER]}]
            self.elb.add_response("describe_target_groups", {"TargetGroups": about})
        self.values, self.status, self.asked = values or {}, status, []
        self.clients.cloudwatch(HERE).meta.events.register_first(
            "before-parameter-build.cloudwatch.GetMetricData",
            lambda params, **_: self.asked.extend(params["MetricDataQueries"]),
        )

    def figures(self, window=WINDOW):
        results = [
            {"Id": name, "Timestamps": [window.begin], "Values": [value], "StatusCode": "Complete"}
            for name, value in self.values.items()
        ]
        results.append(
            {"Id": "connect0answers_3xx", "Timestamps": [], "Values": [], "StatusCode": self.status}
        )
        asked = {"MetricDataQueries": ANY, "StartTime": window.begin - window.span, "EndTime": window.end}
        self.cloudwatch.add_response("get_metric_data", {"MetricDataResults": results}, asked)

    async def measured(self, measure):
        with self.ecs.stub, self.elb, self.cloudwatch:
            found = await measure(Sources(self.clients, None, None))
            for stub in (self.ecs.stub, self.elb, self.cloudwatch):
                stub.assert_no_pending_responses()
        return found

    async def error_rate(self, **changes):
        look = an_observation(target=a_target(**{**ALONE, **changes}), since=NOW - timedelta(minutes=5))
        return await self.measured(lambda sources: Instruments(sources).error_rate(look, NOW + MINUTES.lag))


FIGURES = {
    "connect0requests": 400.0,
    "connect0answers_2xx": 300.0,
    "connect0answers_5xx": 100.0,
    "connect0p95": 80.0,
}


class TestReading:
    async def test_requests_are_the_service_s_own_and_answers_those_of_all_callers(self):
        aws = Aws(FIGURES)
        aws.figures()
        found = await aws.error_rate()
        assert (found.quality, found.source, found.value) == (B, "service-connect", 0.25)
        assert found.query == "GetMetricData AWS/ECS of shop-api, 02:55:00 to 03:00:00 UTC"
        asked = {
            item["MetricStat"]["Metric"]["MetricName"]: {
                pair["Name"]: pair["Value"] for pair in item["MetricStat"]["Metric"]["Dimensions"]
            }
            for item in aws.asked
        }
        target = a_target()
        assert asked.pop("RequestCount") == {
            "DiscoveryName": "shop-api",
            "ServiceName": target.ecs_service,
            "ClusterName": target.cluster,
        }
        assert set(asked) == {*(f"HTTPCode_Target_{n}XX_Count" for n in (2, 3, 4, 5)), "TargetResponseTime"}
        assert all(dimensions == {"TargetDiscoveryName": "shop-api"} for dimensions in asked.values())

    async def test_one_call_has_the_load_balancer_s_figures_too_and_the_two_check_each_other(self):
        balanced = {"requests0": 400.0, "errors0": 4.0, "healthy0": 2.0, "unhealthy0": 0.0}
        aws = Aws(FIGURES | balanced, group=True)
        aws.figures()
        found = await aws.error_rate()
        assert (found.quality, found.source, found.check) == (N, "load-balancer", "contradicted")
        assert "service-connect: 25.0 % of 400 requests failed" in found.detail

    async def test_figures_that_are_not_complete_are_no_data(self):
        aws = Aws(FIGURES, status="PartialData")
        aws.figures()
        found = await aws.error_rate()
        assert found.quality is N
        assert "CloudWatch answered PartialData" in found.detail

    @pytest.mark.parametrize(
        ("configuration", "resources", "name"),
        [
            ({"enabled": True, "services": [{"portName": "http", "discoveryName": "shop"}]}, (), "shop"),
            ({"enabled": True, "services": [{"portName": "http"}]}, (), "http"),
        ],
    )
    async def test_a_name_that_ecs_has_made_nothing_of_yet_is_the_configured_one_or_the_port_s(
        self, configuration, resources, name
    ):
        aws = Aws(FIGURES, configuration=configuration, resources=resources)
        aws.figures()
        assert f" of {name}, " in (await aws.error_rate()).query

    @pytest.mark.parametrize("configuration", [{"enabled": False}, {"enabled": True, "namespace": "shops"}])
    async def test_a_service_that_only_calls_others_has_no_such_source(self, configuration):
        found = await Aws(configuration=configuration, resources=()).error_rate()
        assert found.quality is N
        assert "gives no url to scrape" in found.detail

    async def test_what_the_catalog_leaves_out_is_not_asked(self):
        found = await Aws().error_rate(evidence=("load-balancer",))
        assert found.quality is N

    async def test_what_happened_before_the_observation_is_not_asked_for(self):
        aws, look = Aws(), an_observation(target=a_target(**ALONE), since=NOW)
        found = await aws.measured(lambda sources: Instruments(sources).error_rate(look, NOW + MINUTES.lag))
        assert (found.quality, found.detail) == (
            N,
            "CloudWatch has not published a whole window since 03:00:00 UTC",
        )


class TestDiagnosis:
    async def test_load_is_held_against_the_usual(self):
        window = published(MINUTES, NOW - MINUTES.lag)
        counts = {window.begin - n * window.span: 3000 if n < 2 else 600 for n in range(14)}
        aws = Aws()
        result = {
            "Id": "connect0requests",
            "Timestamps": [*counts],
            "Values": [*counts.values()],
            "StatusCode": "Complete",
        }
        aws.cloudwatch.add_response("get_metric_data", {"MetricDataResults": [result]})
        aws.cloudwatch.add_response("get_metric_statistics", {"Datapoints": []})
        load = await aws.measured(lambda sources: measure_load(sources, a_target(**ALONE), NOW))
        assert (load.rate.value, load.usual_rate.value, load.rate.source) == (10.0, 2.0, "service-connect")


class TestDoctor:
    async def test_it_names_the_discovery_names(self):
        aws = Aws()
        aws.cloudwatch.add_response("get_metric_data", {"MetricDataResults": []})
        target = a_target(**ALONE)
        with aws.ecs.stub, aws.elb, aws.cloudwatch:
            given = ServiceLook(Sources(aws.clients, None, None), target)
            (found,) = await look({"load-balancer": read_balancers}, given, target)
        assert (found.ok, found.detail) == (
            True,
            "Service Connect knows it as shop-api; figures can be read",
        )
